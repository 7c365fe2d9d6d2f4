#include "engine/scheduler/copy_cursor.h"

#include <algorithm>
#include <array>

namespace quern::engine::scheduler {
namespace {

/// Copies at least this long are worth being taken up again after a change.
constexpr std::size_t kWorthRepair = 5;
/// A change is over when so many tokens agree.
constexpr std::size_t kRepaired = 3;
/// Longest changes that are bridged: tokens of the source that are looked through, and new ones of the text.
constexpr std::size_t kWindow = 16;

/// Matches up to 2, 3, 5, 8, 15, 31 tokens, and longer ones.
constexpr std::array<std::size_t, 6> kMatchBounds = {2, 3, 5, 8, 15, 31};
enum Kind : std::size_t {
  kMatch = 0,        // … by kMatchBounds
  kFirstRepair = 7,  // the token after the changed one, which nothing supports yet
  kLaterRepair,      // no support still
  kRepair1,          // one token agrees
  kRepair2,          // two
  kEditBegins,       // a known change would come now
  kEditGoesOn,       // it has begun as known
  kKinds
};
constexpr std::array<double, kKinds> kPriors = {0.25, 0.4, 0.5,  0.65, 0.75, 0.85, 0.92,
                                                0.4,  0.2, 0.35, 0.6,  0.5,  0.85};

bool stands(std::span<const std::int32_t> tokens, const GuessedText& text, std::size_t at) {
  if (at + tokens.size() > text.size()) return false;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (text[at + i] != tokens[i]) return false;
  }
  return true;
}

}  // namespace

std::span<const double> CopyCursor::priors() { return kPriors; }

std::size_t CopyCursor::kind() const {
  if (edit != 0) return edited == 0 ? kEditBegins : kEditGoesOn;
  if (repairing && matched == 0) return source == anchor + 1 ? kFirstRepair : kLaterRepair;
  if (repairing) return matched == 1 ? kRepair1 : kRepair2;
  const auto bound = std::find_if(kMatchBounds.begin(), kMatchBounds.end(),
                                  [&](std::size_t longest) { return matched <= longest; });
  return kMatch + static_cast<std::size_t>(bound - kMatchBounds.begin());
}

std::int32_t CopyCursor::next(const GuessedText& text, std::span<const Edit> edits) {
  if (edit == 0 && !repairing) {
    // The newest change first.
    for (std::size_t i = edits.size(); i-- > 0;) {
      if (!stands(edits[i].from, text, source)) continue;
      edit = i + 1;
      edited = 0;
      break;
    }
  }
  return edit != 0 ? edits[edit - 1].to[edited] : text[source];
}

void CopyCursor::hit(std::span<const Edit> edits) {
  ++matched;
  if (edit == 0) {
    ++source;
    if (repairing && matched >= kRepaired) repairing = false;
    return;
  }
  const Edit& known = edits[edit - 1];
  if (++edited < known.to.size()) return;
  source += known.from.size();
  edit = 0;
}

void CopyCursor::miss(std::span<const std::int32_t> text) {
  const std::int32_t token = text.back();
  if (edit != 0 && edited == 0) {
    // The change is not made here; it may be a plain copy still.
    edit = 0;
    if (text[source] == token) {
      ++source;
      ++matched;
      return;
    }
  }
  if (!repairing) {
    if (matched < kWorthRepair) {
      *this = {};
      return;
    }
    repairing = true;
    anchor = source;
    left = text.size() - 1 - edited;
    edit = edited = 0;
  }
  const std::size_t changed = text.size() - left;
  if (changed > kWindow) {
    *this = {};
    return;
  }
  // The nearest place where the source has this token: what lies between was replaced or left out.
  const std::size_t end = std::min(anchor + kWindow, text.size() - 1);
  for (std::size_t at = anchor; at < end; ++at) {
    if (text[at] != token) continue;
    source = at + 1;
    matched = 1;
    return;
  }
  // Or as many tokens were replaced as are new.
  source = std::min(anchor + changed, text.size() - 1);
  matched = 0;
}

}  // namespace quern::engine::scheduler
