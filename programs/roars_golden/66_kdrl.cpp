#include "golden.hpp"
#include "terms.hpp"

#include "roars/methods/kdrl.hpp"

namespace roars::golden::of_kdrl {
namespace {

/// A pull to the teacher alone: what it marks, then its terms, by the mean over trainable tokens.
template <class Part>
Json pull_of(const Inputs& in, const Part& part) {
    auto terms = roars::detail::terms_of(part, state_of<Part>{});
    auto term = std::get<0>(terms);
    using Term = decltype(term);
    auto batch = batch_with_mask<unite_t<ColumnsOf<Term>, columns<col::groups, col::reward>>>(in, "logp");
    engine::shape(part, batch);
    auto result = run_term(batch, term, aggregate::TokenMean{});
    return {{"kl_loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
template <class Estimator>
Json teacher_kl_by(const Inputs& in) {
    using Kl = regularizer::Kl<Estimator, col::logp_teacher>;
    Kl kl{.coefficient = 1.0};
    std::string mask = in.has("kd_mask") ? in.text("kd_mask") : "none";
    if (mask == "none") return pull_of(in, kl);
    if (mask == "response") return pull_of(in, regularizer::OnlyWhere<Kl, where::Wrong>{kl});
    expect(mask == "group", [&] { return "kd_mask: '" + mask + "', expected none, response or group"; });
    return pull_of(in, regularizer::OnlyWhere<Kl, where::GroupUnsolved>{kl});
}
Json teacher_kl(const Inputs& in) {
    std::string estimator = in.text("estimator");
    if (estimator == "k1") return teacher_kl_by<kl::K1>(in);
    if (estimator == "k3") return teacher_kl_by<kl::ExactK3>(in);
    expect(estimator == "k2", [&] { return "estimator: '" + estimator + "', expected k1, k2 or k3"; });
    return teacher_kl_by<kl::K2>(in);
}

Json coefficient(const Inputs& in) {
    auto part = methods::kdrl.regularizer;
    part.base.coefficient = in.real("kl_coef_init");
    part.schedule = {.decay = in.real("decay"), .least = in.real("kl_coef_min")};
    std::vector<double> in_force;
    for (std::int64_t step : in.wholes("step")) in_force.push_back(part.in_force({step}));
    return {{"kl_coef", in_force}};
}

Json loss(const Inputs& in) {
    auto method = methods::kdrl_constant;
    method.regularizer.coefficient = in.real("kl_coef");
    Json json = in.json();
    if (!in.has("logp_old")) json["logp_old"] = json.at("logp");
    return ObjectiveCase(method, Inputs(json)).loss_and_gradient();
}

}  // namespace

void add(Registry& registry) {
    registry[key("66-kdrl", "regularizer", "regularizer.1")] = teacher_kl;
    registry[key("66-kdrl", "regularizer", "regularizer.2")] = coefficient;
    registry[key("66-kdrl", "loss", "loss")] = loss;
}

}  // namespace roars::golden::of_kdrl
