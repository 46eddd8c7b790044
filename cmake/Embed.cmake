# Writes a .cpp that defines std::optional<std::string_view> sgan::FUNCTION(std::string_view name) with the files'
# contents. At build time: cmake -DOUT=… -DHEADER=… -DFUNCTION=… "-DFILES=name=path;name=path" -P Embed.cmake
# sgan_embed(TARGET HEADER … FUNCTION … FILES name=path …) in a CMakeLists.txt adds it to a target.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(SGAN_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")
  function(sgan_embed target)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "HEADER;FUNCTION" "FILES")
    set(out "${CMAKE_CURRENT_BINARY_DIR}/${arg_FUNCTION}.cpp")
    set(depends "${SGAN_EMBED_SCRIPT}")
    foreach(file ${arg_FILES})
      string(REGEX REPLACE "^[^=]*=" "" path "${file}")
      list(APPEND depends "${path}")
    endforeach()
    add_custom_command(OUTPUT "${out}" DEPENDS ${depends} VERBATIM
      COMMAND ${CMAKE_COMMAND} "-DOUT=${out}" "-DHEADER=${arg_HEADER}" "-DFUNCTION=${arg_FUNCTION}"
              "-DFILES=${arg_FILES}" -P "${SGAN_EMBED_SCRIPT}")
    target_sources(${target} PRIVATE "${out}")
    set_source_files_properties("${out}" PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  endfunction()
  return()
endif()

set(literals "")
set(cases "")
set(index 0)
foreach(file ${FILES})
  string(REGEX REPLACE "=.*" "" name "${file}")
  string(REGEX REPLACE "^[^=]*=" "" path "${file}")
  # Bytes as numbers: a string literal may have 65,536 characters at most, and its text could end it.
  file(READ "${path}" hex HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${hex}")
  string(APPEND literals "constexpr char kFile${index}[] = {${bytes}};\n")
  string(APPEND cases "  if (name == \"${name}\") return std::string_view(kFile${index}, sizeof kFile${index});\n")
  math(EXPR index "${index} + 1")
endforeach()
file(WRITE "${OUT}" "// Written by cmake/Embed.cmake.\n#include \"${HEADER}\"\n\nnamespace sgan {\nnamespace {\n\n${literals}\n"
     "}  // namespace\n\nstd::optional<std::string_view> ${FUNCTION}(std::string_view name) {\n${cases}"
     "  return std::nullopt;\n}\n\n}  // namespace sgan\n")
