#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "on_device.hpp"
#include "roars/cuda/algorithm.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"

#include "golden.hpp"  // of programs/roars_golden: how a case's inputs become a batch

/// The numeric cases of the baselines that go through a kernel, in double, to the tolerance that each states.
namespace roars::gpu {
namespace {

using golden::Inputs;
using golden::Json;

template <class D>
struct GoldenOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(GoldenOnDevice, OneDevice);

template <class Set>
auto batch_of(const Inputs& in, const char* per_token) {
    Json json = in.json();
    if (!in.has("token_offsets")) json["token_offsets"] = {0, json.at(per_token).size()};
    auto batch = golden::batch_of<unite_t<Set, columns<col::mask>>>(Inputs(json));
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}

template <class Term>
using ColumnsOf = unite_t<needs_of<Term>, gives_of<Term>, typename roars::detail::prepare_needs<Term>::type,
                          decltype(roars::detail::gradients_of(typename Term::differentiates{}))>;

template <class Column, class D, class BatchType>
Json column(D&, const BatchType& batch) {
    auto host = batch.download(columns<Column>{});
    return host[Column{}];
}

template <class D, class BatchType, class Column>
Json gradient_of(D& device, const BatchType& batch, columns<Column>) {
    return column<col::grad<Column>>(device, batch);
}

/// Loss and gradient of a term alone.
template <class D, class Term, class Aggregate>
Json term_case(const Inputs& in, const Term& term, const Aggregate& aggregate, const char* gradient = "grad_logp",
               const char* per_token = "logp") {
    D device;
    auto host = batch_of<ColumnsOf<Term>>(in, per_token);
    Batch<double, typename decltype(host)::Columns, D> batch(device, host);
    batch.own_rest();
    roars::Run run{device};
    Buffer<roars::detail::sums_of_base<Term>, D> sums(device, 1);
    Buffer<double, D> untold(device, 1);
    sums.zero();
    untold.zero();
    roars::detail::add_sums(term, run, batch, *sums.data());
    roars::detail::prepare_base(term, run, batch, *sums.data());
    roars::detail::add_untold(term, run, batch, *sums.data(), *untold.data());
    Buffer<Counts, D> counts(device, 1);
    Buffer<Outcome, D> outcome(device, 1);
    count(device, batch, counts.data());
    evaluate(device, batch, counts.data(), outcome.data(), Weighed{term, aggregate});
    auto result = read_outcome<Term>(device, batch, outcome.data());
    Json out{{"loss", result.loss() + untold.download()[0]}};
    for (auto name : metrics_of<Term>) out[std::string(name)] = result.metric(name);
    out[gradient] = gradient_of(device, batch, typename Term::differentiates{});
    return out;
}

template <class D, class Part>
Json advantage_case(const Inputs& in, const Part& part, const char* returns = "returns") {
    D device;
    roars::Run run{device};
    state_of<Part> state{};
    auto host = batch_of<unite_t<needs_of<Part>, gives_of<Part>>>(in, "token_reward");
    Batch<double, typename decltype(host)::Columns, D> batch(device, host);
    batch.own_rest();
    estimate(part, run, state, batch);
    Json out{{"advantage", column<col::advantage>(device, batch)}};
    if constexpr (contains_v<col::returns, gives_of<Part>>) out[returns] = column<col::returns>(device, batch);
    return out;
}

/// The column that a part of the regularizer's slot gives.
template <class Column, class D, class Part>
Json shape_case(const Inputs& in, const Part& part) {
    D device;
    roars::Run run{device};
    auto host = batch_of<unite_t<needs_of<Part>, gives_of<Part>>>(in, "logp_old");
    Batch<double, typename decltype(host)::Columns, D> batch(device, host);
    batch.own_rest();
    NoState none;
    roars::detail::call_shape(part, run, none, batch);
    return column<Column>(device, batch);
}
template <class D, class Within>
void rejection_case(const Inputs& in, const std::string& name, const Within& within, Json& out) {
    using namespace correction;
    auto one = [&]<class Over>(const char* which, Over) {
        out["mask"][which + name] = shape_case<col::mask, D>(in, Reject<Over, Within>{within});
    };
    one("token_", over::Token{});
    one("sequence_sum_", over::Sum{});
    one("sequence_mean_", over::Mean{});
    one("sequence_max_", over::Largest{});
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
template <class D, class Aggregate>
void aggregate_mode(const Inputs& in, const char* name, const Aggregate& aggregate, Json& out) {
    Json json = in.json();
    json["advantage"] = json.at("token_loss");
    Json said = term_case<D>(Inputs(json), TokenLoss{}, aggregate, "weight", "token_loss");
    out["loss"][name] = said["loss"];
    out["weight"][name] = said["weight"];
}

template <class D>
Json softmax_case(const Inputs& in) {
    D device;
    std::vector<double> logits;
    auto all_rows = in.rows("logits");
    for (const auto& row : all_rows) logits.insert(logits.end(), row.begin(), row.end());
    std::int64_t rows = std::ssize(all_rows), vocabulary = std::ssize(all_rows.at(0));
    auto wholes = in.wholes("token");
    auto there = put(device, logits);
    auto token = put(device, std::vector<std::int32_t>(wholes.begin(), wholes.end()));
    auto g = put(device, in.reals("grad_logp")), h = put(device, in.reals("grad_entropy"));
    Buffer<double, D> logp(device, rows), total(device, rows), entropy(device, rows), squares(device, rows);
    Logits<double> all(there.data(), rows, vocabulary);
    double temperature = in.real("temperature");
    selective_log_softmax(device, all, token.data(), static_cast<const double*>(nullptr), temperature,
                          RowColumns<double>{logp.data(), total.data(), entropy.data(), squares.data()});
    selective_log_softmax_backward(device, all, token.data(), temperature, total.data(),
                                   static_cast<const double*>(entropy.data()), static_cast<const double*>(g.data()),
                                   static_cast<const double*>(h.data()));
    Json gradient = Json::array();
    auto back = there.download();
    for (std::int64_t r = 0; r < rows; ++r)
        gradient.push_back(std::vector<double>(back.begin() + r * vocabulary, back.begin() + (r + 1) * vocabulary));
    return {{"logp", logp.download()},
            {"entropy", entropy.download()},
            {"sum_pi_squared", squares.download()},
            {"grad_logits", gradient}};
}

template <class D>
std::map<std::string, Json (*)(const Inputs&)> cases() {
    return {
        {"clip_higher_dual_clip",
         [](const Inputs& in) {
             return term_case<D>(in,
                                 surrogate::DualClip{in.real("clip_low"), in.real("clip_high"), in.real("dual_clip")},
                                 aggregate::TokenMean{});
         }},
        {"gspo",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::SequenceClip{in.real("clip_low"), in.real("clip_high")},
                                 aggregate::SequenceMean{});
         }},
        {"luspo",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::SequenceClip{in.real("clip_low"), in.real("clip_high")},
                                 aggregate::SequenceSum{});
         }},
        {"cispo",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::ClippedWeight{in.real("clip_low"), in.real("clip_high")},
                                 aggregate::TokenMean{});
         }},
        {"gmpo",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::GeometricMean{in.real("clip_low"), in.real("clip_high")},
                                 aggregate::SequenceMean{});
         }},
        {"sapo",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::SoftGate{in.real("tau_positive"), in.real("tau_negative")},
                                 aggregate::SequenceMean{});
         }},
        {"two_sided_clip",
         [](const Inputs& in) {
             return term_case<D>(
                 in, surrogate::TwoSidedClip{in.real("clip_low"), in.real("clip_high"), in.real("ratio_cap")},
                 aggregate::TokenMean{});
         }},
        {"reinforce",
         [](const Inputs& in) { return term_case<D>(in, surrogate::PolicyGradient{}, aggregate::TokenMean{}); }},
        {"squared_log_ratio",
         [](const Inputs& in) {
             return term_case<D>(in, surrogate::SquaredLogRatio{in.real("beta")}, aggregate::TokenMean{});
         }},
        {"topr", [](const Inputs& in) { return term_case<D>(in, surrogate::TaperedWeight{}, aggregate::TokenMean{}); }},
        {"clipped_value",
         [](const Inputs& in) {
             return term_case<D>(in, critic::ClippedValue{.coefficient = 1.0, .clip = in.real("value_clip")},
                                 aggregate::TokenMean{}, "grad_value", "value");
         }},
        {"aggregation",
         [](const Inputs& in) {
             Json out;
             double longest = in.real("max_length");
             aggregate_mode<D>(in, "token_mean", aggregate::TokenMean{}, out);
             aggregate_mode<D>(in, "token_sum", aggregate::TokenSum{}, out);
             aggregate_mode<D>(in, "seq_mean_token_mean", aggregate::SequenceMean{}, out);
             aggregate_mode<D>(in, "seq_mean_token_mean_all", aggregate::SequenceMeanOfAll{}, out);
             aggregate_mode<D>(in, "seq_mean_token_sum", aggregate::SequenceSum{}, out);
             aggregate_mode<D>(in, "seq_mean_token_sum_norm", aggregate::SequenceSumOverLength{longest}, out);
             aggregate_mode<D>(in, "batch_token_sum_norm", aggregate::ConstantLength{longest}, out);
             return out;
         }},
        {"selective_log_softmax", softmax_case<D>},
        {"gae",
         [](const Inputs& in) {
             return advantage_case<D>(in, advantage::Gae<>{.gamma = in.real("gamma"), .lambda = in.real("lambda")});
         }},
        {"gae_tokens",
         [](const Inputs& in) {
             advantage::GaeTokens<> part{.gamma = in.real("gamma"), .lambda = in.real("lambda")};
             Json out = advantage_case<D>(in, part);
             out["raw_advantage"] = out["advantage"];
             out["advantage"] = advantage_case<D>(in, advantage::Whiten<advantage::GaeTokens<>>{part})["advantage"];
             return out;
         }},
        {"vtrace",
         [](const Inputs& in) {
             return advantage_case<D>(in,
                                      advantage::VTrace<>{.gamma = in.real("gamma"),
                                                          .lambda = in.real("lambda", 1.0),
                                                          .rho_clip = in.real("rho_clip"),
                                                          .c_clip = in.real("c_clip"),
                                                          .policy_rho_clip = in.real("rho_pg_clip")},
                                      "value_target");
         }},
        {"rloo", [](const Inputs& in) { return advantage_case<D>(in, advantage::LeaveOneOut{}); }},
        {"mean_baseline", [](const Inputs& in) { return advantage_case<D>(in, advantage::GroupMean{}); }},
        {"group_mean_batch_std",
         [](const Inputs& in) {
             return advantage_case<D>(in, advantage::GroupMeanBatchSpread{.scale = {.eps = 1e-4}});
         }},
        {"remax",
         [](const Inputs& in) {
             Json json = in.json();
             json["greedy_outcome"] = json.at("greedy_reward");
             return advantage_case<D>(Inputs(json), advantage::Remax{});
         }},
        {"kl_in_reward",
         [](const Inputs& in) {
             return Json{
                 {"token_reward", shape_case<col::token_reward, D>(in, regularizer::KlInReward{in.real("kl_coef")})}};
         }},
        {"off_policy_sequence_mask",
         [](const Inputs& in) {
             return term_case<D>(in,
                                 surrogate::OffPolicySequenceMask<surrogate::Clip>{
                                     {in.real("clip_low"), in.real("clip_high")}, in.real("threshold")},
                                 aggregate::SequenceMean{});
         }},
        {"off_policy_correction",
         [](const Inputs& in) {
             using namespace correction;
             auto weight = [&](const auto& part) { return shape_case<col::importance_weight, D>(in, part); };
             double low = in.real("low"), high = in.real("high");
             return Json{{"truncate_sequence", weight(TruncatedSequence{{high}})},
                         {"ice_pop_token", weight(IcePop{{low, high}})},
                         {"ice_pop_sequence", weight(IcePopSequence{{low, high}})},
                         {"geometric_mask", weight(GeometricMask{low, high})},
                         {"normalised", weight(Normalised{high})},
                         {"truncate_token", weight(TruncatedToken{{high}})}};
         }},
        {"rejection",
         [](const Inputs& in) {
             Json out;
             rejection_case<D>(in, "k1", correction::within::K1{in.real("low"), in.real("high")}, out);
             rejection_case<D>(in, "k2", correction::within::K2{in.real("bound")}, out);
             rejection_case<D>(in, "k3", correction::within::K3{in.real("bound")}, out);
             return out;
         }},
        {"reinforce_plus_plus",
         [](const Inputs& in) {
             advantage::RewardToGo to_go{.gamma = in.real("gamma", 1.0)};
             Json out = advantage_case<D>(in, advantage::ReinforcePlusPlus{to_go});
             out["returns"] = advantage_case<D>(in, to_go)["advantage"];
             if (in.has("reward"))
                 out["baseline_advantage"] = advantage_case<D>(in, advantage::ReinforcePlusPlusBaseline{})["advantage"];
             return out;
         }},
    };
}

/// Numbers that both have; what else is expected is of no kernel.
void expect_near(const Json& is, const Json& should, double tolerance, const std::string& where) {
    if (should.is_object()) {
        for (const auto& [name, value] : should.items())
            if (is.contains(name)) expect_near(is.at(name), value, tolerance, where + '.' + name);
    } else if (should.is_array()) {
        ASSERT_EQ(is.size(), should.size()) << where;
        for (std::size_t i = 0; i < should.size(); ++i)
            expect_near(is[i], should[i], tolerance, where + '[' + std::to_string(i) + ']');
    } else {
        double expected = golden::number(should), own = golden::number(is);
        if (std::isfinite(expected))
            EXPECT_NEAR(own, expected, tolerance * (1 + std::abs(expected))) << where;
        else
            EXPECT_TRUE(own == expected || (own != own && expected != expected)) << where;
    }
}

TYPED_TEST(GoldenOnDevice, CasesOfTheBaselines) {
    const char* folder = std::getenv("ROARS_GOLDEN_DIR");
    std::ifstream file(std::string(folder ? folder : ROARS_GOLDEN_DIR) + "/00-peers.json");
    ASSERT_TRUE(file) << "no 00-peers.json: ROARS_GOLDEN_DIR is the folder that has it";
    auto known = cases<TypeParam>();
    std::map<std::string, int> seen;
    for (const auto& each : Json::parse(file)) {
        auto rule = each.at("inputs").at("rule").template get<std::string>();
        auto found = known.find(rule);
        if (found == known.end()) continue;
        ++seen[rule];
        expect_near(found->second(Inputs(each.at("inputs"))), each.at("expected"), each.at("tolerance"), rule);
    }
    EXPECT_EQ(seen.size(), known.size());
}

}  // namespace
}  // namespace roars::gpu
