// expect: column_that_no_term_can_read<.*col::turn_reward>
#include "roars/optimizer/policy_gradient.hpp"

using namespace roars;

struct Term {
    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::turn_reward>;
    using differentiates = columns<col::logp>;
    template <class X>
    Loss<value_t<X>> token(const X& x) const {
        return {-x[col::turn_reward{}] * x[col::logp{}], {-x[col::turn_reward{}]}};
    }
};
double loss_of(backend::Host& host, Batch<float, columns<col::logp, col::turn_reward>>& batch) {
    return evaluate(host, batch, {count(host, batch)}, Weighed{Term{}, aggregate::TokenMean{}}).loss();
}
