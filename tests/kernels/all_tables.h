// The tables this processor can run, for tests that must hold for each of them.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "kernels/cpu/kernels.h"

namespace quern::kernels::cpu {

inline std::vector<const Kernels*> allTables() {
  std::vector<const Kernels*> tables;
  for (const char* name : {"generic", "avx2", "avxvnni", "avx512vnni"}) {
    if (const Kernels* table = selectKernels(name)) tables.push_back(table);
  }
  return tables;
}

class EveryTable : public testing::TestWithParam<const Kernels*> {};

#define QUERN_FOR_EVERY_TABLE(suite)                                      \
  INSTANTIATE_TEST_SUITE_P(Tables, suite, testing::ValuesIn(allTables()), \
                           [](const auto& param) { return param.param->name; })

}  // namespace quern::kernels::cpu
