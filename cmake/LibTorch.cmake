# Imported targets for the LibTorch that ships inside the PyPI wheel `torch`.
#
#   LibTorch::cpu    torch_cpu and c10: all that the program links
#   LibTorch::cuda   torch_cuda and c10_cuda with the CUDA runtime's headers: for the CUDA plug-in alone
#
# The wheel's own TorchConfig.cmake is not used: without nvcc it fails, with nvcc it injects flags.
# The wheel is found without importing it, so its Python dependencies need not be there.

if(NOT SGAN_PYTHON)
  set(SGAN_PYTHON "${PROJECT_SOURCE_DIR}/.venv/bin/python")
endif()
if(NOT EXISTS "${SGAN_PYTHON}")
  message(FATAL_ERROR "No Python with the torch wheel at ${SGAN_PYTHON}. Run ./scripts/setup, or pass -DSGAN_PYTHON=<python>.")
endif()

execute_process(
  COMMAND "${SGAN_PYTHON}" -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
  OUTPUT_VARIABLE SGAN_TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE torch_missing ERROR_QUIET)
if(torch_missing)
  message(FATAL_ERROR "${SGAN_PYTHON} has no torch wheel. Run ./scripts/setup.")
endif()
file(STRINGS "${SGAN_TORCH_DIR}/version.py" SGAN_TORCH_VERSION REGEX "^__version__")
string(REGEX REPLACE ".*'([^']+)'.*" "\\1" SGAN_TORCH_VERSION "${SGAN_TORCH_VERSION}")
message(STATUS "LibTorch ${SGAN_TORCH_VERSION} in ${SGAN_TORCH_DIR}")

# -idirafter: the wheel's include folder carries its own fmt and protobuf, which must not shadow Debian's.
add_library(LibTorch::cpu INTERFACE IMPORTED)
target_compile_options(LibTorch::cpu INTERFACE
  "SHELL:-idirafter \"${SGAN_TORCH_DIR}/include\""
  "SHELL:-idirafter \"${SGAN_TORCH_DIR}/include/torch/csrc/api/include\"")
target_link_directories(LibTorch::cpu INTERFACE "${SGAN_TORCH_DIR}/lib")
target_link_libraries(LibTorch::cpu INTERFACE torch_cpu c10)
# The CUDA-enabled libtorch_cpu.so names CUDA libraries that are resolved through its own RUNPATH at run time.
target_link_options(LibTorch::cpu INTERFACE -Wl,--allow-shlib-undefined "-Wl,-rpath,${SGAN_TORCH_DIR}/lib")

get_filename_component(site_packages "${SGAN_TORCH_DIR}" DIRECTORY)
set(SGAN_CUDA_DIR "${site_packages}/nvidia/cu13")
add_library(LibTorch::cuda INTERFACE IMPORTED)
target_compile_options(LibTorch::cuda INTERFACE "SHELL:-idirafter \"${SGAN_CUDA_DIR}/include\"")
target_link_libraries(LibTorch::cuda INTERFACE LibTorch::cpu torch_cuda c10_cuda "${SGAN_CUDA_DIR}/lib/libcudart.so.13")
target_link_options(LibTorch::cuda INTERFACE "-Wl,-rpath,${SGAN_CUDA_DIR}/lib")
