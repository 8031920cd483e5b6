# shima_library(NAME SOURCES a.cc ... [PUBLIC dep ...] [PRIVATE dep ...])   one module
# shima_binary(NAME SOURCES a.cc ... [PRIVATE dep ...])                     one program in bin/
# shima_test(NAME SOURCES a_test.cc ... [PRIVATE dep ...] [LABELS l ...] [TIMEOUT s])  a GoogleTest suite in ctest
# Includes are written from the top of the repository: #include "common/types/ids.h".

set(SHIMA_SANITIZE "" CACHE STRING "address, thread or empty")
# AddressSanitizer makes units three times as dear to compile at -O2, and tests' own code need not be fast.
set(SHIMA_OPTIMIZE -O2)
set(SHIMA_IS_GENERATED $<BOOL:$<TARGET_PROPERTY:SHIMA_GENERATED>>)
if(SHIMA_SANITIZE STREQUAL "address")
  set(SHIMA_OPTIMIZE $<IF:${SHIMA_IS_GENERATED},-O2,$<IF:$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>,-O0,-O1>>)
endif()

add_library(shima_options INTERFACE)
target_compile_options(shima_options INTERFACE -Wall -Wextra -Wpedantic -Wno-missing-field-initializers
                                               $<$<CONFIG:Release>:${SHIMA_OPTIMIZE}> -g1 -march=x86-64-v2)
target_include_directories(shima_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR})
target_compile_definitions(shima_options INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
if(SHIMA_SANITIZE STREQUAL "address")
  # What protoc and gRPC generate is theirs, as their libraries are, and the dearest to compile (SHIMA_GENERATED): the
  # compiler is called exactly as for the release preset, so that ccache has the object already.
  target_compile_options(shima_options INTERFACE
    $<$<NOT:${SHIMA_IS_GENERATED}>:-fno-omit-frame-pointer$<SEMICOLON>-fsanitize=address,undefined$<SEMICOLON>-fno-sanitize-recover=all>)
  target_link_options(shima_options INTERFACE -fsanitize=address,undefined)
elseif(SHIMA_SANITIZE STREQUAL "thread")
  target_compile_options(shima_options INTERFACE -fsanitize=thread -fno-omit-frame-pointer)
  target_link_options(shima_options INTERFACE -fsanitize=thread)
  # ThreadSanitizer does not understand fences, and reports what they order. Without them Asio's handlers are still
  # ordered: by the mutexes of its queues.
  target_compile_definitions(shima_options INTERFACE ASIO_DISABLE_FENCED_BLOCK)
endif()

include(ShimaMerge)

find_program(SHIMA_MOLD mold)
if(SHIMA_MOLD)
  target_link_options(shima_options INTERFACE -fuse-ld=mold)
endif()

function(shima_library NAME)
  cmake_parse_arguments(A "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  shima_merge(${NAME} A_SOURCES)
  add_library(${NAME} STATIC ${A_SOURCES})
  target_link_libraries(${NAME} PUBLIC shima_options ${A_PUBLIC} PRIVATE ${A_PRIVATE})
endfunction()

function(shima_binary NAME)
  cmake_parse_arguments(A "" "" "SOURCES;PRIVATE" ${ARGN})
  shima_merge(${NAME} A_SOURCES)
  add_executable(${NAME} ${A_SOURCES})
  target_link_libraries(${NAME} PRIVATE shima_options ${A_PRIVATE})
endfunction()

function(shima_test NAME)
  cmake_parse_arguments(A "" "TIMEOUT" "SOURCES;PRIVATE;LABELS" ${ARGN})
  shima_merge(${NAME} A_SOURCES)
  add_executable(${NAME} ${A_SOURCES})
  target_link_libraries(${NAME} PRIVATE shima_options ${A_PRIVATE} GTest::gtest GTest::gtest_main)
  set_target_properties(${NAME} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME ${NAME} COMMAND ${NAME})
  if(NOT A_TIMEOUT)
    set(A_TIMEOUT 900)
  endif()
  set_tests_properties(${NAME} PROPERTIES LABELS "${A_LABELS}" TIMEOUT ${A_TIMEOUT})
endfunction()
