# AVX2, AVX-512 and AMX again, through SIMDe, with baseline flags: see kernels/tables.h.
find_path(OCTAVO_SIMDE_INCLUDE simde/x86/avx512.h)
if(OCTAVO_SIMDE_INCLUDE)
  add_library(octavo_kernels_simde STATIC)
  foreach(isa Avx2 Avx512Vnni Amx)
    string(TOLOWER ${isa} folder)
    add_library(octavo_kernels_simde_${folder} OBJECT ${PROJECT_SOURCE_DIR}/src/kernels/${folder}/table.cc)
    # Before every other folder, so that <immintrin.h> is ours.
    target_include_directories(octavo_kernels_simde_${folder} BEFORE PRIVATE
      ${CMAKE_CURRENT_LIST_DIR}/simde ${PROJECT_SOURCE_DIR}/src)
    target_include_directories(octavo_kernels_simde_${folder} SYSTEM PRIVATE ${OCTAVO_SIMDE_INCLUDE})
    target_compile_definitions(octavo_kernels_simde_${folder} PRIVATE k${isa}=kSimde${isa})
    target_compile_options(octavo_kernels_simde_${folder} PRIVATE -w)
    target_sources(octavo_kernels_simde PRIVATE $<TARGET_OBJECTS:octavo_kernels_simde_${folder}>)
  endforeach()
  foreach(test attention elements gemm_bf16 gemm_f32 gemm_u8s8 gemm_u8s8_f32 quantize_rows rows unary)
    target_link_libraries(kernels_${test}_test PRIVATE octavo_kernels_simde)
    target_compile_definitions(kernels_${test}_test PRIVATE OCTAVO_SIMDE)
  endforeach()
else()
  message(STATUS "SIMDe is not here (Debian: libsimde-dev): instruction sets that this CPU lacks stay untested")
endif()

# Of optimised code only.
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize|-O0")
  get_property(isa_objects GLOBAL PROPERTY octavo_isa_objects)
  add_test(NAME kernels.no_spills
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/no_spills.py ${CMAKE_OBJDUMP} 80 ${isa_objects}
    COMMAND_EXPAND_LISTS)
  set_tests_properties(kernels.no_spills PROPERTIES LABELS "unit;kernels")
endif()
