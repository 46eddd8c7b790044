# sgan_library(NAME SOURCES … [PLAIN …] [LINK …] [TORCH])   one static library per folder: target sgan_NAME
# sgan_test(NAME SOURCES … [PLAIN …] [LINK …] [TORCH])      one GoogleTest program per mirrored folder: target test_NAME
# TORCH: reuse the one precompiled torch header. PLAIN: sources of a TORCH target that include no torch header; they
# compile faster without the precompiled one, and -DSGAN_PARSERS_ONLY=ON builds them alone, without LibTorch.

set(SGAN_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual -Werror)

add_library(sgan_options INTERFACE)
target_include_directories(sgan_options INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(sgan_options INTERFACE ${SGAN_WARNINGS})
if(SGAN_SANITIZE)
  target_compile_options(sgan_options INTERFACE -fsanitize=${SGAN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(sgan_options INTERFACE -fsanitize=${SGAN_SANITIZE})
  # Under sanitizers GCC 12 takes libstdc++'s regular expressions for uninitialized.
  target_compile_options(sgan_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
if(SGAN_FUZZ)
  target_compile_options(sgan_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# torch/torch.h costs half a minute a file; precompiled once and reused by every target it costs seconds.
if(NOT SGAN_PARSERS_ONLY)
  add_library(sgan_torch STATIC cmake/torch_pch.cpp)
  target_link_libraries(sgan_torch PUBLIC sgan_options LibTorch::cpu)
  target_precompile_headers(sgan_torch PRIVATE cmake/torch_pch.h)
endif()

# Sources that call at::parallel_for, which is OpenMP in a header: compiled without it, they would run on one thread. The
# precompiled header has none. Their target links gomp, which at run time is the wheel's.
function(sgan_parallel)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_PRECOMPILE_HEADERS ON COMPILE_OPTIONS -fopenmp)
endfunction()

function(sgan_target target uses_torch)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "LINK")
  target_link_libraries(${target} PUBLIC sgan_options ${arg_LINK})
  if(uses_torch)
    target_link_libraries(${target} PUBLIC sgan_torch)
    target_precompile_headers(${target} REUSE_FROM sgan_torch)
  endif()
endfunction()

# Sets `sources` in the caller to what is compiled of the caller's arg_SOURCES and arg_PLAIN, and arg_TORCH to whether
# torch is among it.
macro(sgan_choose_sources)
  if(arg_PLAIN)
    set_source_files_properties(${arg_PLAIN} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endif()
  set(sources ${arg_SOURCES} ${arg_PLAIN})
  if(SGAN_PARSERS_ONLY AND arg_TORCH)
    set(sources ${arg_PLAIN})
    set(arg_TORCH FALSE)
  endif()
endmacro()

function(sgan_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;PLAIN;LINK")
  sgan_choose_sources()
  add_library(sgan_${name} STATIC ${sources})
  sgan_target(sgan_${name} ${arg_TORCH} LINK ${arg_LINK})
endfunction()

function(sgan_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "TORCH" "" "SOURCES;PLAIN;LINK;LABELS")
  sgan_choose_sources()
  add_executable(test_${name} ${sources})
  sgan_target(test_${name} ${arg_TORCH} LINK ${arg_LINK} GTest::gmock GTest::gtest_main)
  target_compile_definitions(test_${name} PRIVATE SGAN_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  set(timeout 900)
  if(SGAN_SANITIZE)
    set(timeout 3600)  # everything takes several times as long
  endif()
  set(properties TIMEOUT ${timeout} ENVIRONMENT OMP_NUM_THREADS=1 SKIP_REGULAR_EXPRESSION "\\[  SKIPPED \\]")
  if(arg_LABELS)
    list(APPEND properties LABELS "${arg_LABELS}")
  endif()
  gtest_discover_tests(test_${name} DISCOVERY_TIMEOUT 60 PROPERTIES ${properties})
endfunction()
