# cmake -DPROGRAM=octavo -DOUTPUT=octavo.1 -DVERSION=... -P man_page.cmake
# A manual page in mdoc's older sister, man(7), made of what `octavo --help` and the --help of every
# command print.
function(help_of out)
  execute_process(COMMAND ${PROGRAM} ${ARGN} --help OUTPUT_VARIABLE text RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "${PROGRAM} ${ARGN} --help: ${failed}")
  endif()
  # roff reads a backslash, and a dot or quote at the start of a line, as its own.
  string(REPLACE "\\" "\\e" text "${text}")
  string(REGEX REPLACE "(^|\n)([.'])" "\\1\\\\&\\2" text "${text}")
  string(REPLACE "-" "\\-" text "${text}")
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

help_of(overview)
set(page ".TH OCTAVO 1 \"\" \"octavo ${VERSION}\" \"User Commands\"\n.SH NAME\noctavo \\- embedding models in INT8 on ordinary CPUs\n")
string(APPEND page ".SH SYNOPSIS\n.B octavo\n.I command\n[\\fIoptions\\fR]\n.SH DESCRIPTION\n.nf\n${overview}.fi\n")
# The lines below "Subcommands:" start with two spaces and the command's name.
execute_process(COMMAND ${PROGRAM} --help OUTPUT_VARIABLE plain)
string(REGEX REPLACE ".*\nSubcommands:\n" "" listed "${plain}")
string(REGEX MATCHALL "(^|\n)  [a-z]+ " listed "${listed}")
foreach(line IN LISTS listed)
  string(STRIP "${line}" command)
  help_of(text ${command})
  string(TOUPPER "${command}" title)
  string(APPEND page ".SH OCTAVO ${title}\n.nf\n${text}.fi\n")
endforeach()
file(WRITE ${OUTPUT} "${page}")
