// Time that tests hold code to: the processor's, so that whatever else a machine does counts for nothing.
#pragma once

#include <ctime>

namespace quern::test {

/// Times as long as without: what a sanitizer costs at most.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double kSlower = 15;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr double kSlower = 15;
#else
inline constexpr double kSlower = 1;
#endif
#else
inline constexpr double kSlower = 1;
#endif

/// Of the whole process, since it was made.
class ProcessorTime {
 public:
  double seconds() const { return static_cast<double>(std::clock() - began_) / CLOCKS_PER_SEC; }

 private:
  std::clock_t began_ = std::clock();
};

}  // namespace quern::test
