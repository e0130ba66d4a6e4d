#include "golden.hpp"
#include "terms.hpp"

#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/f_divergence.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/run.hpp"

/// What TRL says of losses of pairs: tests/golden/make_trl.py.
namespace roars::golden::of_trl {
namespace {

/// The loss of a batch of pairs, two answers each.
template <class Term>
Json pairs(const Inputs& in, const Term& term) {
    Json json = in.json();
    json["group_offsets"] = Json::array();
    for (std::size_t i = 0; i < json.at("token_offsets").size(); i += 2) json["group_offsets"].push_back(i);
    auto batch = batch_with_mask<ColumnsOf<Term>>(Inputs(json), "logp");
    double loss = run_term(batch, term, typename Term::Aggregate{}).loss();
    return {{"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
pair::Logistic logistic(const Inputs& in) {
    return {.beta = in.real("beta"), .label_smoothing = in.real("label_smoothing", 0.0)};
}

Json sorted_margins(const Inputs& in) { return pairs(in, surrogate::SortedMargins<>{logistic(in)}); }
Json sorted_sides(const Inputs& in) { return pairs(in, surrogate::SortedPairwise<>{logistic(in)}); }
template <class Link>
Json linked(const Inputs& in) {
    return pairs(in, surrogate::Pairwise<pair::FDivergence<Link>>{{.base = logistic(in)}});
}
Json on_policy(const Inputs& in) { return pairs(in, surrogate::OnPolicyPairs<>{{logistic(in)}}); }
Json exploratory(const Inputs& in) {
    using Base = surrogate::Pairwise<pair::Logistic, summary::LogRatio, pairing::BestAndWorst>;
    return pairs(in, surrogate::ExploratoryPairs<Base>{.base = {logistic(in)}, .alpha = in.real("alpha")});
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const char* name, Evaluate evaluate) { registry[key("trl", "loss", name)] = evaluate; };
    add("aot", sorted_margins);
    add("aot_unpaired", sorted_sides);
    add("forward_kl", linked<pair::link::ForwardKl>);
    add("js_divergence", linked<pair::link::JensenShannon>);
    add("wpo", on_policy);
    add("xpo", exploratory);
}

}  // namespace roars::golden::of_trl
