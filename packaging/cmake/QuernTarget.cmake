# Settings that every target of Quern shares: language level, warnings, sanitizers, ccache.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

find_program(QUERN_CCACHE ccache)
if(QUERN_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${QUERN_CCACHE}")
endif()

add_library(quern_settings INTERFACE)
target_compile_options(quern_settings INTERFACE
  -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-align
  # g++ 12 sees overlapping copies in std::string that are not there (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_include_directories(quern_settings INTERFACE "${CMAKE_SOURCE_DIR}")
if(QUERN_SANITIZE)
  target_compile_options(quern_settings INTERFACE
    -fsanitize=${QUERN_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(quern_settings INTERFACE -fsanitize=${QUERN_SANITIZE})
  if(QUERN_SANITIZE MATCHES "thread")
    # Asio's fences, which the thread sanitizer cannot follow; its mutexes order the same accesses.
    target_compile_definitions(quern_settings INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
if(QUERN_FUZZ)
  # The fuzzers are guided by which branches of the engine an input reaches.
  target_compile_options(quern_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# quern_test(NAME room LABEL fast SOURCES ... LIBS ...): one GoogleTest program a room, each test known to ctest.
function(quern_test)
  cmake_parse_arguments(ARG "" "NAME;LABEL;TIMEOUT" "SOURCES;LIBS" ${ARGN})
  if(NOT ARG_SOURCES)
    return()
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${ARG_NAME} ${ARG_SOURCES})
  target_link_libraries(${ARG_NAME} PRIVATE quern_settings ${ARG_LIBS} GTest::gtest GTest::gtest_main)
  target_compile_definitions(${ARG_NAME} PRIVATE
    QUERN_SOURCE_DIR="${CMAKE_SOURCE_DIR}" QUERN_TEST_DATA="${QUERN_TEST_DATA}")
  gtest_discover_tests(${ARG_NAME} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()
