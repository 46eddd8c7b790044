# The three OpenCV libraries the project uses, as one imported target. Debian ships OpenCVConfig.cmake only with
# libopencv-dev (210 packages); the headers and libraries come with libopencv-{core,imgproc,imgcodecs}-dev.
find_path(SGAN_OPENCV_INCLUDE opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
add_library(OpenCV::imgcodecs INTERFACE IMPORTED)
target_include_directories(OpenCV::imgcodecs SYSTEM INTERFACE "${SGAN_OPENCV_INCLUDE}")
foreach(part core imgproc imgcodecs)
  find_library(SGAN_OPENCV_${part} opencv_${part} REQUIRED)
  target_link_libraries(OpenCV::imgcodecs INTERFACE "${SGAN_OPENCV_${part}}")
endforeach()
