#include "roars/methods/ppo.hpp"
#include "roars/reflect.hpp"

namespace ours {
using namespace roars;

struct Bonus {
    double size = 1.0;
};
ROARS_FIELDS(Bonus, size)

struct Named {
    Bonus bonus{};
    using gives = columns<col::reward>;
    template <class X>
    double value(const X&) const {
        return bonus.size;
    }
};
ROARS_FIELDS(Named, bonus)

struct FlatPenalty {
    using needs = columns<col::token_reward>;
    using gives = columns<col::token_reward>;
    template <class RunType, class BatchType>
    void shape(RunType&, BatchType& batch) const {
        for (auto& reward : batch[col::token_reward{}]) reward -= 1;
    }
};

struct Hinge {
    static constexpr std::string_view name = "hinge";
    using needs = columns<col::logp, col::advantage>;
    using differentiates = columns<col::logp>;
    template <class X>
    Loss<value_t<X>> token(const X& x) const {
        return {-x[col::advantage{}] * x[col::logp{}], {-x[col::advantage{}]}};
    }
};

struct Tenth {
    static constexpr bool per_sequence = false;
    double weight(const Counts&, std::int64_t) const { return 0.1; }
};

using Optimizer = optimizer::PolicyGradient<Hinge, Tenth, step::AdamW>;
using Method = Algorithm<sampler::Groups, reward::OnLastToken<Named>, methods::Ppo::Advantage, FlatPenalty, Optimizer>;

double loss_of(backend::Host& host, Batch<float, columns<col::logp, col::advantage>>& batch) {
    return evaluate(host, batch, {count(host, batch)}, Weighed{Hinge{}, Tenth{}}).loss();
}
bool set(Method& method) { return set_setting(method.reward, "base.bonus.size", "2"); }
}  // namespace ours
