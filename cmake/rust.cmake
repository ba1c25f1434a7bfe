# octavo_cargo(<target> <folder> <library>)
# Builds the Rust crate in <folder> into lib<library>.a (release profile, versions of its Cargo.lock
# only) and gives it as an imported static library. Cargo runs when a source of the crate changed.
# CARGO_NET_OFFLINE=true in the environment works as cargo documents it; crates already fetched
# are then enough.
set(OCTAVO_RUST_MINIMUM 1.85)  # the highest rust-version in src/text/rust/Cargo.lock
set(OCTAVO_CARGO_TARGET_DIR ${CMAKE_BINARY_DIR}/rust CACHE PATH
    "Where cargo builds; several build folders may share one")

find_program(OCTAVO_CARGO cargo HINTS $ENV{CARGO_HOME}/bin $ENV{HOME}/.cargo/bin)
if(NOT OCTAVO_CARGO)
  message(FATAL_ERROR "cargo is missing: the tokenizer is a Rust crate. Install Rust "
    "${OCTAVO_RUST_MINIMUM} or newer (https://rustup.rs; Debian 12's own rustc is too old), "
    "or pass -DOCTAVO_CARGO=/path/to/cargo.")
endif()
execute_process(COMMAND ${OCTAVO_CARGO} --version OUTPUT_VARIABLE cargo_version ERROR_VARIABLE cargo_error)
if(NOT cargo_version MATCHES "^cargo ([0-9.]+)")
  message(FATAL_ERROR "${OCTAVO_CARGO} --version gave no version: ${cargo_version}${cargo_error}")
elseif(CMAKE_MATCH_1 VERSION_LESS OCTAVO_RUST_MINIMUM)
  message(FATAL_ERROR "${OCTAVO_CARGO} is version ${CMAKE_MATCH_1}, ${OCTAVO_RUST_MINIMUM} is needed: "
    "`rustup update stable`, or pass -DOCTAVO_CARGO=/path/to/a/newer/cargo.")
endif()

function(octavo_cargo target folder library)
  set(archive ${OCTAVO_CARGO_TARGET_DIR}/release/lib${library}.a)
  file(GLOB sources CONFIGURE_DEPENDS ${folder}/src/*.rs)
  # RUSTONIG_SYSTEM_LIBONIG=0: the regex engine of the crate, not whatever version the system has.
  # CFLAGS are cleared because cc-rs would compile that engine with a sanitizer's or a user's flags.
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_COMMAND} -E env --unset=CFLAGS --unset=CXXFLAGS RUSTONIG_SYSTEM_LIBONIG=0
            ${OCTAVO_CARGO} build --quiet --release --locked
            --manifest-path ${folder}/Cargo.toml --target-dir ${OCTAVO_CARGO_TARGET_DIR}
    # Cargo leaves the archive alone when nothing it reads changed; the build must see it as new.
    COMMAND ${CMAKE_COMMAND} -E touch ${archive}
    DEPENDS ${sources} ${folder}/Cargo.toml ${folder}/Cargo.lock
    COMMENT "Building Rust crate ${library}"
    VERBATIM)
  add_custom_target(${target}_build DEPENDS ${archive})
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION ${archive}
    INTERFACE_LINK_LIBRARIES "Threads::Threads;m;${CMAKE_DL_LIBS}")
  add_dependencies(${target} ${target}_build)
endfunction()
