# quern_embed(TARGET NAME symbol FOLDER dir): the files of a folder as text in the program, so that it needs none beside
# it. Declares (app/serve/web/embedded.h) const EmbeddedFile NAME[] and NAMECount. As a script it writes that source.

if(CMAKE_SCRIPT_MODE_FILE)
  file(GLOB files RELATIVE "${FOLDER}" "${FOLDER}/*")
  file(WRITE "${OUT}.new" "#include \"app/serve/web/embedded.h\"\n\nnamespace quern::app::serve {\n\nconst EmbeddedFile ${NAME}[] = {\n")
  set(count 0)
  foreach(file ${files})
    file(READ "${FOLDER}/${file}" text)
    file(SHA256 "${FOLDER}/${file}" hash)
    string(SUBSTRING "${hash}" 0 16 hash)
    file(APPEND "${OUT}.new" "{\"${file}\", \"${hash}\", R\"QUERN(")
    file(APPEND "${OUT}.new" "${text}")
    file(APPEND "${OUT}.new" ")QUERN\"},\n")
    math(EXPR count "${count} + 1")
  endforeach()
  file(APPEND "${OUT}.new" "};\nconst std::size_t ${NAME}Count = ${count};\n\n}  // namespace quern::app::serve\n")
  file(RENAME "${OUT}.new" "${OUT}")
  return()
endif()

set(QUERN_EMBED_SCRIPT "${CMAKE_CURRENT_LIST_FILE}")
function(quern_embed target name folder)
  file(GLOB files CONFIGURE_DEPENDS "${folder}/*")
  set(out "${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp")
  add_custom_command(OUTPUT "${out}"
    COMMAND "${CMAKE_COMMAND}" -DOUT=${out} -DNAME=${name} -DFOLDER=${folder} -P "${QUERN_EMBED_SCRIPT}"
    DEPENDS ${files} "${QUERN_EMBED_SCRIPT}" VERBATIM)
  target_sources(${target} PRIVATE "${out}")
endfunction()
