// Which experts the tokens of a batch take, and the batch in the order of experts: what a mixture of experts
// is computed by. Nothing here is allocated after make().
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/program.h"

namespace quern::engine::runtime {

/// Chooses `choice.used` different experts by a token's scores [choice.experts], as the router's matrix gives
/// them, best first, and their weights. `bias` [experts] is added for choosing, or null. `scratch`: 2 ·
/// experts floats. Of equal scores the lower number wins; NaN loses against all.
void chooseExperts(const model::ExpertChoice& choice, const float* scores, const float* bias,
                   std::int32_t* chosen, float* weights, float* scratch);

/// Pairs of a token and one of its experts that have the expert in common; they lie beside each other. First
/// those that are decoded, then the prompts', which go through Kernels::panelMatmul.
struct ExpertGroup {
  std::int32_t expert = 0;
  std::int32_t first = 0;  ///< pair
  std::int32_t decoded = 0;
  std::int32_t prompted = 0;
  std::int32_t panel = 0;  ///< number of the first of `prompted` among the panel's rows
};

/// A pair is a token and an expert. A token's pairs are numbered token · used + slot as they were chosen;
/// `place` says where a pair lies among the groups.
class Routing {
 public:
  /// Room for `tokens` tokens.
  static Routing make(std::int64_t tokens, std::int32_t experts, std::int32_t used);
  static std::uint64_t bytesFor(std::int64_t tokens, std::int32_t experts, std::int32_t used);
  /// Rows of a panel that group() may need for `pairs` pairs: every group begins with a whole group of
  /// kPanelTokens.
  static std::int64_t panelRowsFor(std::int64_t pairs, std::int32_t experts);

  /// Chooses the experts of token `token`.
  void choose(const model::ExpertChoice& choice, const float* scores, const float* bias, std::int64_t token,
              float* scratch);
  /// Puts the pairs of tokens [0, tokens) in order; isPrompt(token) tells the kinds apart.
  template <class IsPrompt>
  void group(const model::ExpertChoice& choice, std::int64_t tokens, IsPrompt&& isPrompt);

  std::span<const ExpertGroup> groups() const { return groups_; }
  std::int32_t place(std::int64_t pair) const { return place_[static_cast<std::size_t>(pair)]; }
  /// Row of the panel of a pair that belongs to a prompt; -1: it is decoded.
  std::int32_t panelRow(std::int64_t pair) const { return panelRow_[static_cast<std::size_t>(pair)]; }
  /// The pair that lies at a place.
  std::int32_t pairAt(std::int64_t place) const { return pairAt_[static_cast<std::size_t>(place)]; }
  float weight(std::int64_t pair) const { return weights_[static_cast<std::size_t>(pair)]; }

 private:
  struct Count {
    std::int32_t decoded = 0;
    std::int32_t prompted = 0;
  };
  void layGroups();

  std::vector<std::int32_t> chosen_;  ///< [tokens, used]
  std::vector<float> weights_;
  std::vector<std::int32_t> place_;
  std::vector<std::int32_t> panelRow_;
  std::vector<std::int32_t> pairAt_;
  std::vector<Count> counts_;          ///< [experts]
  std::vector<std::int32_t> groupOf_;  ///< [experts]
  std::vector<ExpertGroup> groups_;    ///< only experts that somebody takes
};

template <class IsPrompt>
void Routing::group(const model::ExpertChoice& choice, std::int64_t tokens, IsPrompt&& isPrompt) {
  counts_.assign(static_cast<std::size_t>(choice.experts), Count{});
  const auto expertOf = [&](std::int64_t pair) {
    return static_cast<std::size_t>(chosen_[static_cast<std::size_t>(pair)]);
  };
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool prompt = isPrompt(t);
    for (std::int64_t pair = t * choice.used; pair < (t + 1) * choice.used; ++pair) {
      Count& count = counts_[expertOf(pair)];
      ++(prompt ? count.prompted : count.decoded);
    }
  }
  layGroups();
  // The counts now say how many are still to be placed.
  for (std::int64_t t = 0; t < tokens; ++t) {
    const bool prompt = isPrompt(t);
    for (std::int64_t pair = t * choice.used; pair < (t + 1) * choice.used; ++pair) {
      const std::size_t expert = expertOf(pair);
      const ExpertGroup& group = groups_[static_cast<std::size_t>(groupOf_[expert])];
      Count& left = counts_[expert];
      const std::int32_t placed = prompt ? group.prompted - left.prompted-- : group.decoded - left.decoded--;
      const std::int32_t place = group.first + placed + (prompt ? group.decoded : 0);
      place_[static_cast<std::size_t>(pair)] = place;
      panelRow_[static_cast<std::size_t>(pair)] = prompt ? group.panel + placed : -1;
      pairAt_[static_cast<std::size_t>(place)] = static_cast<std::int32_t>(pair);
    }
  }
}

}  // namespace quern::engine::runtime
