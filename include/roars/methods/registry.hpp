#pragma once

#include <string_view>
#include <tuple>

#include "roars/methods/cispo.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/dr_grpo.hpp"
#include "roars/methods/gmpo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/reinforce.hpp"
#include "roars/methods/rloo.hpp"
#include "roars/methods/sapo.hpp"
#include "roars/methods/supervised.hpp"

/// All methods: a compile-time map from name to type, settings and facts. The program's list, the tests and the tables
/// of the documentation are generated from it.
namespace roars::methods {

/// What is known of a method beside its type.
struct Facts {
    std::string_view name;    ///< on the command line
    std::string_view title;   ///< one line
    std::string_view family;  ///< baseline, ...
    std::string_view paper;   ///< arXiv number, or doi
    int year;
    std::string_view golden;  ///< file of its numeric cases, without .json
};

template <class Method_>
struct Entry {
    using Method = Method_;
    Facts facts;
    Method method;
};
template <class Method>
Entry(Facts, Method) -> Entry<Method>;

inline constexpr std::tuple all{
    Entry{
        Facts{"supervised", "Supervised likelihood of demonstrations: the warm start", "supervised", "", 0, "00-peers"},
        supervised},
    Entry{Facts{"reinforce", "REINFORCE with the batch's mean as baseline", "baseline", "doi 10.1007/BF00992696", 1992,
                "00-peers"},
          reinforce},
    Entry{Facts{"grpo", "GRPO: group relative policy optimization", "baseline", "2402.03300", 2024, "00-grpo"}, grpo},
    Entry{Facts{"dr-grpo", "Dr. GRPO: GRPO without spread and length bias", "baseline", "2503.20783", 2025, "00-peers"},
          dr_grpo},
    Entry{Facts{"rloo", "RLOO: REINFORCE with the others of the group as baseline", "baseline", "2402.14740", 2024,
                "00-peers"},
          rloo},
    Entry{Facts{"dapo", "DAPO: decoupled clip and dynamic sampling", "baseline", "2503.14476", 2025, "00-peers"}, dapo},
    Entry{Facts{"gspo", "GSPO: the ratio of a whole sequence", "baseline", "2507.18071", 2025, "00-peers"}, gspo},
    Entry{Facts{"cispo", "CISPO: clipped importance weights, every token keeps its gradient", "baseline", "2506.13585",
                2025, "00-peers"},
          cispo},
    Entry{Facts{"gmpo", "GMPO: the geometric mean of a sequence's ratios", "baseline", "2507.20673", 2025, "00-peers"},
          gmpo},
    Entry{Facts{"sapo", "SAPO: a soft gate instead of a clip", "baseline", "2511.20347", 2025, "00-peers"}, sapo},
    Entry{Facts{"ppo", "PPO: a critic per token, the divergence in the reward", "baseline", "1707.06347", 2017,
                "00-peers"},
          ppo},
    Entry{Facts{"ppo-verified", "PPO without a reference: the verdict on the last token", "baseline", "1707.06347", 2017,
                "00-peers"},
          ppo_verified},
};

/// Calls visit(entry) for each method, in order.
template <class Visit>
constexpr void for_each(Visit&& visit) {
    std::apply([&](const auto&... entry) { (visit(entry), ...); }, all);
}

}  // namespace roars::methods
