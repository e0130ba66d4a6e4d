#include "golden.hpp"
#include "terms.hpp"

#include <numeric>

#include "roars/critic/value_loss.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/preference.hpp"
#include "roars/optimizer/preference/scores.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/sort.hpp"
#include "roars/regularizer/adaptive.hpp"
#include "roars/regularizer/full_distribution.hpp"

namespace roars::golden::of_peers_losses {
namespace {

/// Loss and gradient of a surrogate, and those of its metrics that the name is given of.
template <class Term, class Aggregate>
Json surrogate_case(const Inputs& in, const Term& term, const Aggregate& aggregate,
                    std::initializer_list<const char*> metrics = {}) {
    auto batch = batch_with_mask<ColumnsOf<Term>>(in, "logp");
    auto result = run_term(batch, term, aggregate);
    Json out{{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
    for (const char* name : metrics) out[name] = result.metric(name);
    return out;
}

Json dual_clip(const Inputs& in) {
    surrogate::DualClip term{in.real("clip_low"), in.real("clip_high"), in.real("dual_clip")};
    return surrogate_case(in, term, aggregate::TokenMean{}, {"clip_fraction", "dual_clip_fraction", "approx_kl"});
}
Json gspo(const Inputs& in) {
    return surrogate_case(in, surrogate::SequenceClip{in.real("clip_low"), in.real("clip_high")},
                          aggregate::SequenceMean{});
}
Json luspo(const Inputs& in) {
    return surrogate_case(in, surrogate::SequenceClip{in.real("clip_low"), in.real("clip_high")},
                          aggregate::SequenceSum{});
}
Json cispo(const Inputs& in) {
    return surrogate_case(in, surrogate::ClippedWeight{in.real("clip_low"), in.real("clip_high")},
                          aggregate::TokenMean{});
}
Json gmpo(const Inputs& in) {
    return surrogate_case(in, surrogate::GeometricMean{in.real("clip_low"), in.real("clip_high")},
                          aggregate::SequenceMean{});
}
Json sapo(const Inputs& in) {
    return surrogate_case(in, surrogate::SoftGate{in.real("tau_positive"), in.real("tau_negative")},
                          aggregate::SequenceMean{});
}
Json two_sided_clip(const Inputs& in) {
    return surrogate_case(in, surrogate::TwoSidedClip{in.real("clip_low"), in.real("clip_high"), in.real("ratio_cap")},
                          aggregate::TokenMean{});
}
Json reinforce(const Inputs& in) { return surrogate_case(in, surrogate::PolicyGradient{}, aggregate::TokenMean{}); }
Json squared_log_ratio(const Inputs& in) {
    return surrogate_case(in, surrogate::SquaredLogRatio{in.real("beta")}, aggregate::TokenMean{});
}
Json topr(const Inputs& in) { return surrogate_case(in, surrogate::TaperedWeight{}, aggregate::TokenMean{}); }
template <class Divergence>
Json dppo(const Inputs& in) {
    return surrogate_case(in,
                          surrogate::DivergenceGate<Divergence>{in.real("divergence_low"), in.real("divergence_high"),
                                                                in.real("ratio_cap")},
                          aggregate::TokenMean{}, {"kept_fraction"});
}

Json vespo(const Inputs& in) {
    surrogate::VariationalWeight term{in.real("k_positive"), in.real("lam_positive"), in.real("k_negative"),
                                      in.real("lam_negative")};
    auto batch = batch_with_mask<ColumnsOf<decltype(term)>>(in, "logp");
    auto result = run_term(batch, term, aggregate::TokenMean{});
    std::vector<double> weight;
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i < std::size_t(batch.sequences()); ++i) {
        std::int64_t first = offsets[i];
        while (first < offsets[i + 1] && !roars::detail::trainable<col::mask>(batch, first)) ++first;
        double advantage = first < offsets[i + 1] ? batch[col::advantage{}][std::size_t(first)] : 0.0;
        weight.push_back(term.weight(batch[col::sequence_log_ratio{}][i], advantage));
    }
    return {{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}, {"weight", weight}};
}

/// The uniform numbers that a case brings.
struct GivenDraws {
    using needs = columns<>;
    const std::vector<double>* uniform = nullptr;
    double operator()(const Random&, const draw::Sequence& sequence, std::int64_t place) const {
        return (*uniform)[std::size_t(sequence.begin + place)];
    }
};

template <class Column, class BatchType>
std::vector<std::int64_t> trainable_where(const BatchType& batch, double value) {
    std::vector<std::int64_t> found;
    for (std::int64_t t = 0; t < batch.tokens(); ++t)
        if (roars::detail::trainable<col::mask>(batch, t) && batch[Column{}][std::size_t(t)] == value)
            found.push_back(t);
    return found;
}

Json clip_cov(const Inputs& in) {
    std::vector<double> uniform = in.reals("uniform");
    surrogate::ClipCov<GivenDraws> term{in.real("clip_low"), in.real("clip_high"), in.real("fraction"),
                                        in.real("cov_low"),  in.real("cov_high"),  GivenDraws{&uniform}};
    auto batch = batch_with_mask<ColumnsOf<decltype(term)>>(in, "logp");
    auto result = run_term(batch, term, aggregate::TokenMean{});
    return {{"loss", result.loss()},
            {"grad_logp", batch[col::grad<col::logp>{}]},
            {"dropped", trainable_where<col::keep>(batch, 0.0)}};
}

Json kl_cov(const Inputs& in) {
    surrogate::KlCov term{in.real("fraction"), in.real("kl_coef")};
    auto batch = batch_with_mask<ColumnsOf<decltype(term)>>(in, "logp");
    auto result = run_term(batch, term, aggregate::TokenMean{});
    return {{"loss", result.loss()},
            {"grad_logp", batch[col::grad<col::logp>{}]},
            {"penalised", trainable_where<col::penalised>(batch, 1.0)}};
}

Json off_policy_sequence_mask(const Inputs& in) {
    surrogate::OffPolicySequenceMask<surrogate::Clip> term{{in.real("clip_low"), in.real("clip_high")},
                                                           in.real("threshold")};
    auto batch = batch_with_mask<ColumnsOf<decltype(term)>>(in, "logp");
    auto result = run_term(batch, term, aggregate::SequenceMean{});
    std::vector<int> kept(std::size_t(batch.sequences()), 1);
    backend::Host host;
    segmented_for_each(host, batch.token_offsets(), [&](std::int64_t i, std::int64_t t) {
        bool counts = roars::detail::trainable<col::mask>(batch, t);
        if (counts && batch[col::keep{}][std::size_t(t)] == 0.0) kept[std::size_t(i)] = 0;
    });
    return {{"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}, {"kept", kept}};
}

/// A loss that is given for each token.
struct TokenLoss {
    static constexpr std::string_view name = "token_loss";
    using needs = columns<col::advantage>;
    using differentiates = columns<col::advantage>;
    template <class X>
    ROARS_FN Loss<value_t<X>> token(const X& x) const {
        return {x[col::advantage{}], {value_t<X>(1)}};
    }
};
/// The batch of a case that brings `token_loss`.
template <class Term>
auto token_loss_batch(const Inputs& in) {
    auto batch = batch_with_mask<ColumnsOf<Term>>(in, "token_loss");
    std::vector<double> loss = in.reals("token_loss");
    std::copy(loss.begin(), loss.end(), batch[col::advantage{}].begin());
    return batch;
}

Json top_entropy(const Inputs& in) {
    surrogate::TopEntropy<TokenLoss> term{{}, in.real("fraction")};
    auto batch = token_loss_batch<decltype(term)>(in);
    auto result = run_term(batch, term, aggregate::TokenMean{});
    backend::Host host;
    Run run{host};
    std::vector<int> kept(std::size_t(batch.tokens()), 0);
    for (std::int64_t t : trainable_where<col::keep>(batch, 1.0)) kept[std::size_t(t)] = 1;
    return {{"threshold", term.threshold(host, roars::detail::reduce_base(term, run, batch))},
            {"kept", kept},
            {"loss", result.loss()}};
}

template <class Aggregate>
void aggregate_mode(const Inputs& in, const char* name, const Aggregate& aggregate, Json& out) {
    auto batch = token_loss_batch<TokenLoss>(in);
    out["loss"][name] = engine::terms(batch, aggregate, TokenLoss{}).loss();
    out["weight"][name] = batch[col::grad<col::advantage>{}];
    if (!in.has("sequence_split")) return;
    auto piece_loss = [&](std::int64_t first, std::int64_t last) {
        auto piece = batch.slice_sequences(first, last);
        return engine::terms_of(batch, piece, aggregate, TokenLoss{}).loss();
    };
    std::int64_t split = in.whole("sequence_split");
    out["micro"][name] = {piece_loss(0, split), piece_loss(split, batch.sequences())};
}

Json aggregation(const Inputs& in) {
    Json out;
    double max_length = in.real("max_length");
    aggregate_mode(in, "token_mean", aggregate::TokenMean{}, out);
    aggregate_mode(in, "token_sum", aggregate::TokenSum{}, out);
    aggregate_mode(in, "seq_mean_token_mean", aggregate::SequenceMean{}, out);
    aggregate_mode(in, "seq_mean_token_mean_all", aggregate::SequenceMeanOfAll{}, out);
    aggregate_mode(in, "seq_mean_token_sum", aggregate::SequenceSum{}, out);
    aggregate_mode(in, "seq_mean_token_sum_norm", aggregate::SequenceSumOverLength{max_length}, out);
    aggregate_mode(in, "batch_token_sum_norm", aggregate::ConstantLength{max_length}, out);
    return out;
}

Json clipped_value(const Inputs& in) {
    critic::ClippedValue term{.coefficient = 1.0, .clip = in.real("value_clip")};
    auto batch = batch_with_mask<ColumnsOf<decltype(term)>>(in, "value");
    auto result = run_term(batch, term, aggregate::TokenMean{});
    return {{"loss", result.loss()}, {"grad_value", batch[col::grad<col::value>{}]}};
}

template <class Term>
void kl_estimator(const Inputs& in, const char* name, const Term& term, Json& out) {
    using Set = unite_t<ColumnsOf<Term>, columns<col::logp_old>>;
    auto batch = batch_with_mask<Set>(in, "logp");
    out["mean"][name] = run_term(batch, term, aggregate::TokenMean{}).loss();
    run_term(batch, term, aggregate::TokenSum{});
    out["grad_logp"][name] = batch[col::grad<col::logp>{}];
    std::vector<double> value(std::size_t(batch.tokens()), 0.0);
    for (std::size_t t = 0; t < value.size(); ++t) {
        if (!roars::detail::trainable<col::mask>(batch, std::int64_t(t))) continue;
        Token<double, columns<col::logp, col::logp_old, col::logp_ref>> x{
            {batch[col::logp{}][t]}, {batch[col::logp_old{}][t]}, {batch[col::logp_ref{}][t]}};
        value[t] = term.token(x).loss;
    }
    out["kl"][name] = value;
}

Json kl_estimators(const Inputs& in) {
    Json out;
    kl_estimator(in, "k1", regularizer::Kl<kl::K1>{1.0}, out);
    kl_estimator(in, "abs", regularizer::Kl<kl::Absolute>{1.0}, out);
    kl_estimator(in, "k2", regularizer::Kl<kl::K2>{1.0}, out);
    kl_estimator(in, "k3", regularizer::Kl<kl::K3>{1.0}, out);
    kl_estimator(in, "k3_straight_through", regularizer::Kl<kl::StraightThrough<kl::K3>>{1.0}, out);
    if (in.has("logp_old")) kl_estimator(in, "k3_importance", regularizer::ImportanceKl<kl::K3>{1.0}, out);
    return out;
}

Json kl_in_reward(const Inputs& in) {
    auto batch = batch_with_mask<columns<col::mask, col::reward, col::logp_old, col::logp_ref, col::token_reward>>(
        in, "logp_old");
    engine::shape(regularizer::KlInReward{in.real("kl_coef")}, batch);
    return {{"token_reward", batch[col::token_reward{}]}};
}

Json adaptive_coefficients(const Inputs& in) {
    Json out;
    if (in.has("kl")) {
        regularizer::AdaptiveKl<> part{in.real("kl_coef"), in.real("kl_target"), in.real("samples"),
                                       in.real("horizon")};
        regularizer::AdaptiveKl<>::State state;
        std::vector<double> coefficient{part.in_force(state)};
        for (double kl : in.reals("kl")) part.observe(state, kl), coefficient.push_back(part.in_force(state));
        out["kl_coef"] = coefficient;
    }
    if (in.has("entropy")) {
        regularizer::AdaptiveEntropy part{in.real("entropy_coef"), in.real("entropy_target"), in.real("entropy_step"),
                                          in.real("entropy_coef_min"), in.real("entropy_coef_max")};
        regularizer::AdaptiveEntropy::State state;
        std::vector<double> applied, coefficient;
        for (double entropy : in.reals("entropy")) {
            applied.push_back(part.in_force(state));
            part.observe(state, entropy);
            coefficient.push_back(part.current(state));
        }
        out["applied_entropy_coef"] = applied;
        out["entropy_coef"] = coefficient;
    }
    return out;
}

Json full_distribution(const Inputs& in) {
    auto rows = in.rows("logits"), teacher = in.rows("teacher_logits");
    Json out;
    auto one = [&](const char* name, const auto& divergence) {
        auto gradients = rows;
        out[name] = Json::array();
        for (std::size_t r = 0; r < rows.size(); ++r)
            out[name].push_back(engine::divergence_of_row(divergence, rows[r], teacher[r], gradients[r]));
        out["grad"][name] = gradients;
    };
    one("reverse_kl", divergence::ReverseKl{});
    one("forward_kl", divergence::ForwardKl{});
    one("jsd", divergence::JensenShannon{in.real("mixture", 0.5)});
    one("total_variation", divergence::TotalVariation{});
    return out;
}

Json off_policy_correction(const Inputs& in) {
    using Set = columns<col::mask, col::logp_old, col::logp_behaviour, col::importance_weight>;
    auto batch = batch_with_mask<Set>(in, "logp_old");
    double low = in.real("low"), high = in.real("high");
    Json out;
    auto weights = [&](const char* name, const auto& part) {
        engine::shape(part, batch);
        out[name] = batch[col::importance_weight{}];
    };
    weights("truncate_sequence", correction::TruncatedSequence{{high}});
    weights("ice_pop_token", correction::IcePop{{low, high}});
    weights("ice_pop_sequence", correction::IcePopSequence{{low, high}});
    weights("geometric_mask", correction::GeometricMask{low, high});
    weights("normalised", correction::Normalised{high});
    weights("truncate_token", correction::TruncatedToken{{high}});
    backend::Host host;
    Run run{host};
    out["ess"] = correction::effective_sample_size(run, batch);
    return out;
}

Json rejection(const Inputs& in) {
    using Set = columns<col::mask, col::logp_old, col::logp_behaviour>;
    Json out;
    auto masks = [&](const char* name, const auto& part) {
        auto batch = batch_with_mask<Set>(in, "logp_old");
        engine::shape(part, batch);
        out["mask"][name] = batch[col::mask{}];
    };
    auto each = [&](const std::string& k, const auto& within) {
        using Within = std::remove_cvref_t<decltype(within)>;
        masks(("token_" + k).c_str(), correction::Reject<correction::over::Token, Within>{within});
        masks(("sequence_sum_" + k).c_str(), correction::Reject<correction::over::Sum, Within>{within});
        masks(("sequence_mean_" + k).c_str(), correction::Reject<correction::over::Mean, Within>{within});
        masks(("sequence_max_" + k).c_str(), correction::Reject<correction::over::Largest, Within>{within});
    };
    each("k1", correction::within::K1{in.real("low"), in.real("high")});
    each("k2", correction::within::K2{in.real("bound")});
    each("k3", correction::within::K3{in.real("bound")});
    return out;
}

/// Sequences in the order of `index`, two to a group, for the columns that a preference loss reads. An answer may be in
/// several pairs; add_back sums its gradients.
template <class Term>
class PairBatch {
public:
    PairBatch(const Inputs& in, const std::vector<std::int64_t>& chosen, const std::vector<std::int64_t>& rejected)
        : source_(batch_with_mask<ColumnsOf<Term>>(in, "logp")) {
        std::vector<std::int64_t> groups(chosen.size() + 1), offsets{0};
        for (std::size_t k = 0; k < chosen.size(); ++k) {
            groups[k + 1] = groups[k] + 2;
            for (std::int64_t i : {chosen[k], rejected[k]}) {
                Offsets from = source_.token_offsets();
                expect(i >= 0 && i < source_.sequences(), [&] {
                    return "a pair has answer " + std::to_string(i) + " of " + std::to_string(source_.sequences());
                });
                for (std::int64_t t = from[std::size_t(i)]; t < from[std::size_t(i) + 1]; ++t) place_.push_back(t);
                offsets.push_back(std::ssize(place_));
            }
        }
        batch = decltype(batch)(offsets, groups);
        auto copy = [&](auto column) {
            if constexpr (decltype(batch)::template has<decltype(column)>)
                for (std::size_t t = 0; t < place_.size(); ++t)
                    batch[column][t] = source_[column][std::size_t(place_[t])];
        };
        copy(col::logp{});
        copy(col::logp_ref{});
        copy(col::mask{});
    }
    std::vector<double> add_back() const {
        std::vector<double> gradient(std::size_t(source_.tokens()), 0.0);
        for (std::size_t t = 0; t < place_.size(); ++t)
            gradient[std::size_t(place_[t])] += batch[col::grad<col::logp>{}][t];
        return gradient;
    }

private:
    Batch<double, ColumnsOf<Term>> source_;
    std::vector<std::int64_t> place_;

public:
    Batch<double, ColumnsOf<Term>> batch;
};

template <class Term>
Json pair_case(const Inputs& in, const Term& term) {
    PairBatch<Term> pairs(in, in.wholes("chosen"), in.wholes("rejected"));
    double loss = run_term(pairs.batch, term, typename Term::Aggregate{}).loss();
    return {{"loss", loss}, {"grad_logp", pairs.add_back()}};
}

Json dpo(const Inputs& in) {
    return pair_case(in, surrogate::DirectPreference{{in.real("beta"), in.real("label_smoothing", 0.0)}});
}
Json ipo(const Inputs& in) {
    pair::Squared loss{in.real("beta")};
    if (in.real("length_normalised", 0.0) != 0.0) return pair_case(in, surrogate::IdentityPreferencePerToken{{loss}});
    return pair_case(in, surrogate::Pairwise<pair::Squared>{loss});
}
Json slic(const Inputs& in) { return pair_case(in, surrogate::Pairwise<pair::Hinge>{{in.real("beta")}}); }
Json simpo(const Inputs& in) {
    pair::Logistic loss{.beta = in.real("beta"), .margin = in.real("margin", 0.0)};
    return pair_case(in, surrogate::SimplePreference{{loss}});
}
Json cpo(const Inputs& in) {
    return pair_case(in, surrogate::ContrastivePreference{{{in.real("beta")}, in.real("nll_coef")}});
}
Json orpo(const Inputs& in) { return pair_case(in, surrogate::OddsRatioPreference{{{in.real("lambda")}}}); }

/// Each given log-ratio of a mismatched answer becomes an answer of one token behind the others.
Json kto(const Inputs& in) {
    using Term = surrogate::KahnemanTversky;
    Json json = in.json();
    if (!json.contains("mask")) json["mask"] = std::vector<int>(json.at("logp").size(), 1);
    json["chosen"] = json.at("label");
    json["mismatched"] = std::vector<int>(json.at("label").size(), 0);
    std::size_t tokens = json.at("logp").size();
    if (in.has("kl_log_ratio"))
        for (double u : in.reals("kl_log_ratio")) {
            json["logp"].push_back(u);
            json["logp_ref"].push_back(0.0);
            json["mask"].push_back(1);
            json["chosen"].push_back(0);
            json["mismatched"].push_back(1);
            json["token_offsets"].push_back(json["token_offsets"].back().get<std::int64_t>() + 1);
        }
    auto batch = batch_of<ColumnsOf<Term>>(Inputs(json));
    Term term{in.real("beta"), in.real("desirable_weight"), in.real("undesirable_weight")};
    double loss = run_term(batch, term, Term::Aggregate{}).loss();
    auto gradient = batch[col::grad<col::logp>{}];
    return {{"loss", loss},
            {"grad_logp", std::vector<double>(gradient.begin(), gradient.begin() + std::ptrdiff_t(tokens))}};
}

Json bradley_terry(const Inputs& in) {
    auto chosen = in.reals("score_chosen"), rejected = in.reals("score_rejected");
    std::size_t pairs = chosen.size();
    auto or_all = [&](const char* name, double value) {
        return in.has(name) ? in.reals(name) : std::vector<double>(pairs, value);
    };
    auto margin = or_all("margin", 0.0), label = or_all("soft_label", 1.0);
    pair::BradleyTerry loss{in.real("center_coef", 0.0)};
    double sum = 0;
    std::vector<double> by_chosen, by_rejected;
    for (std::size_t k = 0; k < pairs; ++k) {
        auto one = loss.of(chosen[k], rejected[k], margin[k], label[k]);
        sum += one.value / double(pairs);
        by_chosen.push_back(one.by_chosen / double(pairs));
        by_rejected.push_back(one.by_rejected / double(pairs));
    }
    return {{"loss", sum}, {"grad_score_chosen", by_chosen}, {"grad_score_rejected", by_rejected}};
}

/// The best of each group above a threshold, then their likelihood.
Json best_of_group(const Inputs& in) {
    using Term = surrogate::Likelihood;
    auto batch = batch_with_mask<unite_t<ColumnsOf<Term>, columns<col::groups, col::reward>>>(in, "logp");
    backend::Host host;
    auto reward = batch[col::reward{}];
    std::vector<int> selected(reward.size(), 0);
    auto top = segmented_top_k(host, batch[col::groups{}], reward, in.whole("keep"));
    for (std::int64_t i : top.index) selected[std::size_t(i)] = reward[std::size_t(i)] >= in.real("threshold") ? 1 : 0;
    segmented_for_each(host, batch.token_offsets(), [&](std::int64_t i, std::int64_t t) {
        if (!selected[std::size_t(i)]) batch[col::mask{}][std::size_t(t)] = 0.0;
    });
    double loss = run_term(batch, Term{}, aggregate::TokenMean{}).loss();
    return {{"selected", selected}, {"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json ppo_with_critic(const Inputs& in) {
    Json json = in.json();
    json["returns"] = json.at("return");
    auto batch =
        batch_with_mask<columns<col::mask, col::logp, col::logp_old, col::advantage, col::value, col::value_old,
                                col::returns, col::entropy, col::grad<col::logp>, col::grad<col::value>>>(Inputs(json),
                                                                                                          "logp");
    surrogate::Clip policy{in.real("clip_low"), in.real("clip_high")};
    critic::ClippedValue value{in.real("value_coef"), in.real("value_clip")};
    regularizer::EntropyBonus entropy{in.real("entropy_coef")};
    double loss = engine::terms(batch, aggregate::TokenMean{}, policy, value, entropy).loss();
    return {
        {"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}, {"grad_value", batch[col::grad<col::value>{}]}};
}

/// A loss of every pair from the two log-ratios themselves, mean over pairs.
Json preference(const Inputs& in) {
    auto chosen = in.reals("chosen_log_ratio"), rejected = in.reals("rejected_log_ratio");
    std::size_t pairs = chosen.size();
    auto lengths = [&](const char* name) { return in.has(name) ? in.reals(name) : std::vector<double>(pairs, 1.0); };
    auto chosen_length = lengths("chosen_length"), rejected_length = lengths("rejected_length");
    double beta = in.real("beta"), smoothing = in.real("label_smoothing", 0.0);
    Json out;
    auto one = [&](const char* name, const auto& loss) {
        double sum = 0, scale = pairs > 0 ? 1.0 / double(pairs) : 0.0;
        std::vector<double> by_chosen, by_rejected;
        for (std::size_t k = 0; k < pairs; ++k) {
            auto each = loss.of(pair::View<double>{chosen[k], rejected[k], chosen_length[k], rejected_length[k]});
            sum += scale * each.value;
            by_chosen.push_back(scale * each.by_chosen);
            by_rejected.push_back(scale * each.by_rejected);
        }
        out["loss"][name] = sum;
        out["grad_chosen"][name] = by_chosen;
        out["grad_rejected"][name] = by_rejected;
    };
    one("hinge", pair::Hinge{beta});
    one("robust", pair::Robust{beta, smoothing});
    one("smoothed", pair::Logistic{beta, smoothing});
    one("exo_pair", pair::ExactPair{beta, smoothing});
    one("nca_pair", pair::NoiseContrastive{beta});
    one("bco_pair", pair::BinaryClassifier{beta});
    one("sppo_hard", pair::SelfPlay{beta});
    one("apo_zero", pair::AnchoredZero{beta});
    one("apo_down", pair::AnchoredDown{beta});
    one("discopop", pair::LogRatioModulated{beta, in.real("tau", 0.05)});
    one("length_normalised", pair::PerToken<pair::Logistic>{{beta}});

    // Sorting is a matter of the batch: answers of one token with these log-ratios.
    using Sorted = surrogate::SortedPairwise<pair::Logistic>;
    std::vector<std::int64_t> offsets(2 * pairs + 1), groups(pairs + 1);
    std::iota(offsets.begin(), offsets.end(), 0);
    for (std::size_t k = 0; k <= pairs; ++k) groups[k] = std::int64_t(2 * k);
    Batch<double, ColumnsOf<Sorted>> batch(offsets, groups);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    for (std::size_t k = 0; k < pairs; ++k) {
        batch[col::logp{}][2 * k] = chosen[k];
        batch[col::logp{}][2 * k + 1] = rejected[k];
    }
    out["loss"]["aot_unpaired"] = run_term(batch, Sorted{{beta, smoothing}}, Sorted::Aggregate{}).loss();
    for (const char* side : {"grad_chosen", "grad_rejected"}) {
        std::vector<double> gradient;
        for (std::size_t k = 0; k < pairs; ++k)
            gradient.push_back(batch[col::grad<col::logp>{}][2 * k + (side == std::string("grad_rejected"))]);
        out[side]["aot_unpaired"] = gradient;
    }
    return out;
}

}  // namespace

void add(Registry& registry) {
    auto loss = [&](const char* rule, Evaluate evaluate) { registry[key("00-peers", "loss", rule)] = evaluate; };
    loss("clip_higher_dual_clip", dual_clip);
    loss("gspo", gspo);
    loss("luspo", luspo);
    loss("cispo", cispo);
    loss("gmpo", gmpo);
    loss("sapo", sapo);
    loss("clip_cov", clip_cov);
    loss("kl_cov", kl_cov);
    loss("vespo", vespo);
    loss("dppo_tv", dppo<surrogate::trust::TotalVariation>);
    loss("dppo_kl", dppo<surrogate::trust::BinaryKl>);
    loss("squared_log_ratio", squared_log_ratio);
    loss("topr", topr);
    loss("two_sided_clip", two_sided_clip);
    loss("reinforce", reinforce);
    loss("off_policy_sequence_mask", off_policy_sequence_mask);
    loss("top_entropy", top_entropy);
    loss("clipped_value", clipped_value);
    loss("aggregation", aggregation);
    loss("preference", preference);
    auto regularizer = [&](const char* rule, Evaluate evaluate) {
        registry[key("00-peers", "regularizer", rule)] = evaluate;
    };
    regularizer("kl_estimators", kl_estimators);
    regularizer("kl_in_reward", kl_in_reward);
    regularizer("adaptive_coefficients", adaptive_coefficients);
    regularizer("full_distribution", full_distribution);
    registry[key("00-peers", "sampler", "off_policy_correction")] = off_policy_correction;
    registry[key("00-peers", "sampler", "rejection")] = rejection;

    auto survey = [&](const char* name, Evaluate evaluate) {
        registry[key("36-llm-rl-survey", "loss", name)] = evaluate;
    };
    survey("loss.1", dpo);
    survey("loss.2", ipo);
    survey("loss.3", slic);
    survey("loss.4", simpo);
    survey("loss.5", cpo);
    survey("loss.6", orpo);
    survey("loss.7", kto);
    survey("loss.8", bradley_terry);
    survey("loss.9", best_of_group);
    survey("loss.10", ppo_with_critic);
}

}  // namespace roars::golden::of_peers_losses
