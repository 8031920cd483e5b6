# shima_merge(NAME LIST)   lets module NAME have units of several sources instead of the sources in the list LIST
# Half of the time of a unit goes into its headers, and sanitizers make the rest dear: their presets parse headers once
# for up to SHIMA_MERGE sources of a module (merge_sources.py says which). Nothing else changes: modules, flags, tests.
# The release preset compiles each source by itself, and so says which include or name one has only by luck.

set(SHIMA_MERGE 8 CACHE STRING "how many sources of a module sanitizer presets compile as one; 0: each by itself")
set(SHIMA_DO_NOT_MERGE "" CACHE STRING "sources that they compile by themselves all the same; hack/build adds to it")
if(SHIMA_SANITIZE AND SHIMA_MERGE GREATER 1)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  # A unit includes its sources; what is nameless is meant for one unit still.
  target_compile_options(shima_options INTERFACE $<$<NOT:${SHIMA_IS_GENERATED}>:-Wno-subobject-linkage>)
  # Once for all modules, when all are known.
  cmake_language(DEFER DIRECTORY ${CMAKE_SOURCE_DIR} CALL shima_add_merged_sources)
endif()

function(shima_merge NAME LIST)
  if(NOT SHIMA_SANITIZE OR NOT SHIMA_MERGE GREATER 1)
    return()
  endif()
  set(ALONE)
  set(TOGETHER)
  foreach(SOURCE ${${LIST}})
    cmake_path(ABSOLUTE_PATH SOURCE NORMALIZE)
    cmake_path(RELATIVE_PATH SOURCE BASE_DIRECTORY ${CMAKE_SOURCE_DIR} OUTPUT_VARIABLE FROM_TOP)
    # What is made while building cannot be read yet.
    if(NOT EXISTS ${SOURCE} OR FROM_TOP IN_LIST SHIMA_DO_NOT_MERGE)
      list(APPEND ALONE ${SOURCE})
    else()
      string(APPEND TOGETHER " ${FROM_TOP}")
    endif()
  endforeach()
  set_property(GLOBAL APPEND_STRING PROPERTY SHIMA_SOURCES_TO_MERGE "${NAME}${TOGETHER}\n")
  set(${LIST} ${ALONE} PARENT_SCOPE)
endfunction()

function(shima_add_merged_sources)
  get_property(MODULES GLOBAL PROPERTY SHIMA_SOURCES_TO_MERGE)
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/merged/modules.txt CONTENT "${MODULES}" @ONLY)
  execute_process(COMMAND ${Python3_EXECUTABLE} -B cmake/merge_sources.py ${SHIMA_MERGE}
                  WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} INPUT_FILE ${CMAKE_BINARY_DIR}/merged/modules.txt
                  OUTPUT_VARIABLE UNITS COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" UNITS "${UNITS}")
  foreach(UNIT ${UNITS})
    string(REPLACE " " ";" SOURCES ${UNIT})
    list(POP_FRONT SOURCES NAME)
    list(GET SOURCES 0 FIRST)
    list(LENGTH SOURCES COUNT)
    set(FILE ${CMAKE_SOURCE_DIR}/${FIRST})
    if(COUNT GREATER 1)
      list(TRANSFORM SOURCES REPLACE "(.+)" "#include \"\\1\"\n")
      string(JOIN "" TEXT ${SOURCES})
      cmake_path(GET FIRST STEM LAST_ONLY STEM)
      set(FILE ${CMAKE_BINARY_DIR}/merged/${NAME}/${STEM}.cc)
      file(CONFIGURE OUTPUT ${FILE} CONTENT "${TEXT}" @ONLY)
    endif()
    target_sources(${NAME} PRIVATE ${FILE})
  endforeach()
endfunction()
