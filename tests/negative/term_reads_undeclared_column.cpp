// expect: column_read_but_not_in_needs<.*col::advantage>
#include "roars/optimizer/policy_gradient.hpp"

using namespace roars;

struct Forgetful {
    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp>;
    using differentiates = columns<col::logp>;
    template <class X>
    Loss<value_t<X>> token(const X& x) const {
        return {-x[col::advantage{}] * x[col::logp{}], {-x[col::advantage{}]}};
    }
};
double loss_of(backend::Host& host, Batch<float, columns<col::logp, col::logp_old, col::advantage>>& batch) {
    return evaluate(host, batch, {count(host, batch), count(host, batch)}, Weighed{Forgetful{}, aggregate::TokenMean{}},
                    Weighed{surrogate::Clip{}, aggregate::TokenMean{}})
        .loss();
}
