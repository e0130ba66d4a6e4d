/// Each part alone against a copy of the bytes it moves, in one run: share_of_copy = 1 at the limit of the memory.
#include <string>
#include <tuple>

#include "roars/advantage/across_prompts.hpp"
#include "roars/advantage/best_minus_second.hpp"
#include "roars/advantage/best_of_group.hpp"
#include "roars/advantage/decision_z_score.hpp"
#include "roars/advantage/decoupled_components.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/advantage/gae.hpp"
#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/maximum_a_posteriori.hpp"
#include "roars/advantage/normalise.hpp"
#include "roars/advantage/one_step_target.hpp"
#include "roars/advantage/optimal_token_baseline.hpp"
#include "roars/advantage/plus.hpp"
#include "roars/advantage/reward_to_go.hpp"
#include "roars/advantage/shared_tokens.hpp"
#include "roars/advantage/times.hpp"
#include "roars/advantage/times_group.hpp"
#include "roars/advantage/turn_returns.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/advantage/whiten.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/success_probability.hpp"
#include "roars/critic/value_loss.hpp"
#include "roars/methods/copo.hpp"
#include "roars/methods/direct_advantage.hpp"
#include "roars/methods/disco.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/hicra.hpp"
#include "roars/methods/kdrl.hpp"
#include "roars/methods/light_if.hpp"
#include "roars/methods/preference.hpp"
#include "roars/methods/prorl.hpp"
#include "roars/methods/relift.hpp"
#include "roars/methods/rl_plus.hpp"
#include "roars/methods/seele.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/correction.hpp"
#include "roars/optimizer/preference/around_pairs.hpp"
#include "roars/optimizer/preference/f_divergence.hpp"
#include "roars/optimizer/preference/sorted_pairs.hpp"
#include "roars/optimizer/step/accumulated.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/optimizer/step/averaged.hpp"
#include "roars/optimizer/step/clipped.hpp"
#include "roars/optimizer/step/lion.hpp"
#include "roars/optimizer/step/muon.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/optimizer/step/sgd.hpp"
#include "roars/optimizer/step/split.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/clip_variants.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
#include "roars/optimizer/surrogates/from_behaviour.hpp"
#include "roars/optimizer/surrogates/geometric_mean.hpp"
#include "roars/optimizer/surrogates/importance.hpp"
#include "roars/optimizer/surrogates/masked.hpp"
#include "roars/optimizer/surrogates/sequence_clip.hpp"
#include "roars/optimizer/surrogates/weighted.hpp"
#include "roars/optimizer/surrogates/weighted_likelihood.hpp"
#include "roars/primitives/sampling.hpp"
#include "roars/regularizer/adaptive.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/kl_hinge.hpp"
#include "roars/regularizer/kl_in_turn_reward.hpp"
#include "roars/regularizer/selective_loss_mask.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/reward/combine.hpp"
#include "roars/reward/dense_constraints.hpp"
#include "roars/reward/fewest_calls.hpp"
#include "roars/reward/format.hpp"
#include "roars/reward/information_gain.hpp"
#include "roars/reward/judgement.hpp"
#include "roars/reward/length.hpp"
#include "roars/reward/length_scaled.hpp"
#include "roars/reward/model_score.hpp"
#include "roars/reward/of_turns.hpp"
#include "roars/reward/on_last_token.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/outcome_before_cost.hpp"
#include "roars/reward/reasoning_cost.hpp"
#include "roars/reward/repetition.hpp"
#include "roars/reward/rubric_score.hpp"
#include "roars/reward/running.hpp"
#include "roars/reward/several_tools.hpp"
#include "roars/reward/shortest_right.hpp"
#include "roars/reward/tool_use.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/reward/windowed_cost.hpp"
#include "roars/run.hpp"
#include "roars/sampler/curriculum.hpp"
#include "roars/sampler/entropy_branches.hpp"
#include "roars/sampler/groups.hpp"
#include "roars/sampler/replay.hpp"
#include "roars/sampler/resample.hpp"
#include "roars/sampler/scaffold.hpp"
#include "roars/sampler/stop_sequences.hpp"
#include "roars/sampler/then.hpp"
#include "roars/type_name.hpp"
#include "rollouts.hpp"

namespace {

using namespace roars;
using bench::add;

constexpr std::int64_t sequences = 1024, length = 1024, tokens = sequences * length;

template <class Column>
constexpr std::int64_t count_of = Column::extent == Extent::sequence ? sequences
                                  : Column::extent == Extent::turn   ? 8 * sequences
                                                                     : tokens;
template <class... Column>
std::int64_t bytes_of(columns<Column...>) {
    return (count_of<Column> + ... + 0) * std::int64_t(sizeof(float));
}

/// The objective of some terms: loss, gradient and metrics in one pass.
template <class... Term>
void objective(benchmark::State& state, const Term&... weighed) {
    using Wanted = detail::columns_of_terms<typename Term::Term...>;
    using Gradients = decltype(bench::gradients(unite_t<typename Term::Term::differentiates...>{}));
    auto batch = bench::rollouts<Batch<float, unite_t<Wanted, Gradients>>>(sequences, length);
    backend::Host backend;
    Run run{backend};
    Counts counts = count(backend, batch);
    std::array<Counts, sizeof...(Term)> all;
    all.fill(counts);
    auto prepare = [&](const auto& term) { detail::prepare_base(term, run, batch, detail::NoSums{}); };
    (prepare(weighed.term), ...);
    bench::against_copy(state, {bytes_of(Wanted{}), bytes_of(Gradients{})}, tokens,
                        [&] { benchmark::DoNotOptimize(evaluate(backend, batch, all, weighed...).loss()); });
}

/// An advantage: columns in, columns out.
template <class Advantage>
void advantage(benchmark::State& state) {
    auto batch = bench::rollouts<Batch<float, unite_t<needs_of<Advantage>, gives_of<Advantage>>>>(sequences, length);
    backend::Host backend;
    Run run{backend};
    Advantage part{};
    [[maybe_unused]] state_of<Advantage> memory;
    using Read = minus_t<needs_of<Advantage>, columns<col::groups, col::turns, col::turn_owner>>;
    bench::Bytes bytes{bytes_of(Read{}), bytes_of(gives_of<Advantage>{})};
    bytes.read = std::max(bytes.read, bytes.written);  // a copy has to read what it writes
    bench::against_copy(state, bytes, tokens, [&] {
        if constexpr (requires { part.estimate(run, memory, batch); })
            part.estimate(run, memory, batch);
        else
            part.estimate(run, batch);
    });
}

/// A rule that reads the gradient, the parameters and `moments` numbers a parameter, and writes all but the gradient.
template <class Rule>
void step_rule(benchmark::State& state, const Rule& rule, std::int64_t moments, std::int64_t further_reads = 0) {
    constexpr std::int64_t parameters = 1 << 22;
    std::vector<float> theta(parameters), gradient(parameters);
    bench::fill_normal(std::span(theta), 1, 0.0, 1.0);
    bench::fill_normal(std::span(gradient), 2, 0.0, 1e-3);
    typename Rule::State memory;
    constexpr std::int64_t column = parameters * std::int64_t(sizeof(float));
    bench::against_copy(state, {(2 + moments + further_reads) * column, (1 + moments) * column}, parameters,
                        [&] { rule.step(memory, std::span(theta), std::span(gradient)); });
}

/// The rewards of many short answers.
template <class Reward>
void reward_of(benchmark::State& state, const Reward& part) {
    constexpr std::int64_t answers = 1 << 20, size = 4;
    using Needs = needs_of<Reward>;
    auto batch = bench::rollouts<Batch<float, unite_t<Needs, gives_of<Reward>, columns<col::reward>>>>(answers, size);
    backend::Host backend;
    Run run{backend};
    state_of<Reward> memory;
    constexpr std::int64_t column = answers * std::int64_t(sizeof(float)), offsets = 2 * column;
    std::int64_t read = offsets;  // every answer's place is read by every reward
    for_each_column(Needs{}, [&]<class Column>(Column) {
        // A turn is a token here.
        const bool each =
            Column::kind != Kind::offsets && (Column::extent == Extent::token || Column::extent == Extent::turn);
        read += Column::extent == Extent::sequence ? column : each ? size * column : 0;
        if constexpr (Column::extent == Extent::sequence && Column::kind != Kind::offsets)
            read += column * batch.width(Column{});
        else if constexpr (Column::extent == Extent::token)
            read += size * column;
    });
    bench::against_copy(state, {read, column}, answers, [&] { detail::call_score(part, run, memory, batch); });
}

/// Muon's step of one matrix against its matrix products alone: for each iteration U U^T, its square, and their sum
/// times U.
void muon(benchmark::State& state) {
    using Matrix = step::detail::Dense<float>;
    constexpr std::int64_t rows = 512, wide = 1024;
    std::vector<float> theta(rows * wide), gradient(rows * wide);
    bench::fill_normal(std::span(theta), 1, 0.0, 1.0);
    bench::fill_normal(std::span(gradient), 2, 0.0, 1e-3);
    step::Muon<> rule;
    typename step::Muon<>::State memory;
    memory.matrices = {{0, rows, wide}};
    Matrix x = Eigen::Map<const Matrix>(gradient.data(), rows, wide);
    bench::against_products(
        state,
        [&] {
            for (int k = 0; k < rule.iterations; ++k) {
                Matrix gram = step::detail::product<float>(x, x.transpose());
                Matrix square = step::detail::product(gram, gram);
                benchmark::DoNotOptimize(step::detail::product(square, x).data());
            }
        },
        [&] { rule.step(memory, std::span(theta), std::span(gradient)); });
}

/// A weight for each token, before the update.
template <class Correction>
void correction_of(benchmark::State& state) {
    using Needs = needs_of<Correction>;
    auto batch =
        bench::rollouts<Batch<float, unite_t<Needs, gives_of<Correction>, columns<col::mask>>>>(sequences, length);
    backend::Host backend;
    Run run{backend};
    Correction part{};
    state_of<Correction> memory;
    bench::against_copy(state, {bytes_of(Needs{}), bytes_of(gives_of<Correction>{})}, tokens,
                        [&] { detail::call_shape(part, run, memory, batch); });
}

void sample_size(benchmark::State& state) {
    auto batch = bench::rollouts<Batch<float, columns<col::importance_weight, col::mask>>>(sequences, length);
    backend::Host backend;
    Run run{backend};
    bench::against_copy(state, {bytes_of(columns<col::importance_weight, col::mask>{}), 0}, tokens,
                        [&] { benchmark::DoNotOptimize(correction::effective_sample_size(run, batch)); });
}

/// The objective of a whole method with its sums over sequences, pairs or the batch, in groups of `group`. Counted is
/// what comes from outside and the gradient, not what lies between.
template <class Method>
void whole_objective(benchmark::State& state, const Method& method, std::int64_t group) {
    using Stage = typename Method::ObjectiveStage;
    using Outside = minus_t<unite_t<typename Stage::needs, columns<col::mask>>,
                            unite_t<typename Stage::gives, columns<col::groups>>>;
    auto batch =
        bench::rollouts<Batch<float, unite_t<typename Method::Columns, columns<col::mask>>>>(sequences, length);
    if constexpr (decltype(batch)::template has<col::groups>)
        batch.set_offsets(col::groups{}, bench::equal_segments(sequences / group, group));
    if constexpr (decltype(batch)::template has<col::external>)
        if (group == 2)  // whole answers
            for (std::int64_t t = 0; t < tokens; ++t) batch[col::external{}][std::size_t(t)] = float(t / length % 2);
    backend::Host backend;
    Run run{backend};
    typename Method::State memory;
    bench::against_copy(state, {bytes_of(Outside{}), tokens * std::int64_t(sizeof(float))}, tokens, [&] {
        benchmark::DoNotOptimize(method.objective(run, memory, batch, method.totals(run, memory, batch)).loss());
    });
}
using PairLosses =
    std::tuple<pair::Hinge, pair::Robust, pair::ExactPair, pair::NoiseContrastive, pair::BinaryClassifier,
               pair::SelfPlay, pair::AnchoredZero, pair::AnchoredDown, pair::LogRatioModulated,
               pair::PerToken<pair::Logistic>, pair::FDivergence<pair::link::ForwardKl>,
               pair::FDivergence<pair::link::JensenShannon>, pair::FDivergence<pair::link::AlphaDivergence>>;
template <class Surrogate>
using OfGroups = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::None,
                           optimizer::PolicyGradient<Surrogate, aggregate::TokenMean, step::AdamW>>;

/// A token for each row of logits: the rows are read, next to nothing is written. A row has 1,024 earlier tokens.
void sampler(benchmark::State& state, const Generation& generation, std::int64_t vocabulary) {
    constexpr std::int64_t rows = 64, earlier = 1024;
    std::vector<float> logits(static_cast<std::size_t>(rows * vocabulary));
    std::vector<double> uniform(rows);
    std::vector<std::int64_t> previous(rows * earlier);
    for (std::size_t i = 0; i < previous.size(); ++i) previous[i] = std::int64_t(i * 7919) % vocabulary;
    bench::fill_normal(std::span(logits), 1, 0.0, 3.0);
    bench::fill(std::span(uniform), 2,
                [](const Random& random, std::uint32_t s, std::uint32_t t) { return random.uniform(s, t); });
    std::vector<Sampled> result(rows);
    auto before = bench::equal_segments(rows, earlier);
    backend::Host backend;
    bench::against_copy(state, {rows * vocabulary * std::int64_t(sizeof(float)), 0}, rows, [&] {
        sample_rows(backend, std::span<const float>(logits), vocabulary, generation, std::span<const double>(uniform),
                    std::span(result), before, std::span<const std::int64_t>(previous));
    });
}

/// The target of a critic over several steps; what else it reads is what stands in `Further`.
template <class Target, class... Further>
void target_of(benchmark::State& state, const Target& part) {
    using Reads = columns<col::token_reward, col::next_value, col::terminated, col::done, Further...>;
    auto batch = bench::rollouts<Batch<float, Reads>>(sequences, length);
    std::vector<float> target(tokens);
    backend::Host backend;
    auto steps = critic::steps_of(batch);
    bench::against_copy(state, {bytes_of(Reads{}), tokens * std::int64_t(sizeof(float))}, tokens, [&] {
        part.target(backend, steps, std::span<const float>(batch[Further{}])..., std::span(target));
    });
}

/// A source whose rollouts are there already: what a sampler costs beside them.
template <class BatchType>
struct Given {
    BatchType rollouts;
    std::int64_t prompt_count() const { return std::int64_t(1) << 20; }
    template <class RunType, class Prompts>
    void roll_out(RunType&, BatchType& batch, const Prompts&, std::int64_t, const Generation&) {
        batch = rollouts;
    }
    double vocabulary() const { return 2; }
    template <class RunType>
    void go_on(RunType&, BatchType&, const BatchType&, std::span<const sampler::Continuation>, const Generation&) {}
    template <class RunType>
    void roll_out_shown(RunType&, BatchType& batch, std::int64_t, std::int64_t, const Generation&,
                        std::span<const double>) {
        batch = rollouts;
    }
};
/// What a sampler makes of rollouts, against a copy of them.
template <class Sampler>
void collect(benchmark::State& state, Sampler part) {
    using Held = unite_t<needs_of<Sampler>, gives_of<Sampler>, columns<col::mask, col::logp_old, col::outcome>>;
    using BatchType = Batch<float, Held>;
    Given<BatchType> source{bench::rollouts<BatchType>(sequences, length)};
    backend::Host backend;
    Run run{backend};
    state_of<Sampler> memory;
    BatchType batch;
    std::int64_t bytes = bytes_of(minus_t<Held, columns<col::groups>>{});
    bench::against_copy(state, {bytes, bytes}, tokens,
                        [&] { part.collect(run, memory, source, batch, [](BatchType&) {}); });
}
/// Of 1,024 prompts the curve through four rounds of answers.
void hint_fit(benchmark::State& state) {
    constexpr std::int64_t prompts = 1024, rounds = 4;
    const sampler::FittedHints part;
    std::vector<ResponsePoint> tried;
    RandomStream random{Random(1)};
    for (std::int64_t i = 0; i < prompts * rounds; ++i)
        tried.push_back({double(random.below(16)) / 16, double(random.below(9)) / 8});
    const std::int64_t bytes = std::ssize(tried) * std::int64_t(sizeof(ResponsePoint));
    bench::against_copy(state, {bytes, 0}, prompts, [&] {
        for (std::size_t k = 0; k < tried.size(); k += rounds)
            benchmark::DoNotOptimize(part.next_rate(std::span(tried).subspan(k, rounds), 16));
    });
}
/// A curriculum's choice of 1,024 among as many prompts as the source has: their rates and counts are read.
void curriculum(benchmark::State& state) {
    using BatchType = Batch<float, needs_of<sampler::Curriculum>>;
    Given<BatchType> source{};
    backend::Host backend;
    Run run{backend};
    sampler::Curriculum part{.prompts = 1024};
    sampler::SuccessRates memory;
    BatchType batch;
    bench::against_copy(state, {16 * source.prompt_count(), 0}, source.prompt_count(),
                        [&] { part.collect(run, memory, source, batch, [](BatchType&) {}); });
}
/// Where an answer should have stopped, asked after each of its tokens.
void stop_sequences(benchmark::State& state) {
    std::vector<std::int32_t> generated(tokens);
    bench::fill(std::span(generated), 30, [](const Random& random, std::uint32_t s, std::uint32_t t) {
        return 4 + random.uniform(s, t) * 1000.0;
    });
    const StopSequences stops({{2}, {1, 2, 3}, {3, 3}});
    bench::against_copy(state, {tokens * std::int64_t(sizeof(std::int32_t)), 0}, tokens, [&] {
        for (std::int64_t i = 0; i < sequences; ++i)
            benchmark::DoNotOptimize(stops.cut(std::span<const std::int32_t>(generated).subspan(
                static_cast<std::size_t>(i * length), static_cast<std::size_t>(length))));
    });
}
/// Draws from a memory of 2^20 items. Of a uniform draw nothing is read but its number; by priority all are.
template <class Draw>
void draw_of(benchmark::State& state, const Draw& part, std::int64_t draws) {
    constexpr std::int64_t items = 1 << 20;
    std::vector<double> priority(items), uniform(static_cast<std::size_t>(draws));
    auto number = [](const Random& random, std::uint32_t s, std::uint32_t t) { return random.uniform(s, t); };
    bench::fill(std::span(priority), 1, number);
    bench::fill(std::span(uniform), 2, number);
    const std::int64_t wide = sizeof(double), read = draws + (std::is_same_v<Draw, sampler::draw::Uniform> ? 0 : items);
    bench::against_copy(state, {std::max(read, 2 * draws) * wide, 2 * draws * wide}, draws,
                        [&] { benchmark::DoNotOptimize(part(priority, uniform).index.data()); });
}

template <class Visit, class... T>
void for_types(std::tuple<T...>, Visit&& visit) {
    (visit(T{}), ...);
}

using Surrogates =
    std::tuple<surrogate::PolicyGradient, surrogate::Likelihood, surrogate::Clip, surrogate::DualClip,
               surrogate::TwoSidedClip, surrogate::SoftGate, surrogate::SquaredLogRatio, surrogate::ClippedWeight,
               surrogate::VariationalWeight, surrogate::TaperedWeight, surrogate::DivergenceGate<>,
               surrogate::DivergenceGate<surrogate::trust::BinaryKl>, surrogate::SequenceClip, surrogate::GeometricMean,
               surrogate::ImportanceRatio, surrogate::MultipleImportance<behaviour::Known>,
               surrogate::FromBehaviour<surrogate::Clip>, surrogate::Weighted<surrogate::Clip>>;
using Aggregates = std::tuple<aggregate::TokenMean, aggregate::TokenSum, aggregate::SequenceMean,
                              aggregate::SequenceMeanOfAll, aggregate::SequenceSum, aggregate::SequenceSumOfAll,
                              aggregate::SequenceSumOverLength, aggregate::ConstantLength, aggregate::Constant>;
using Penalties =
    std::tuple<regularizer::Kl<kl::K1>, regularizer::Kl<kl::K2>, regularizer::Kl<kl::K3>, regularizer::Kl<kl::Absolute>,
               regularizer::Kl<kl::StraightThrough<>>, regularizer::Kl<kl::FromReference<>>,
               regularizer::ImportanceKl<>, regularizer::EntropyBonus>;
/// Penalties whose coefficient follows what they regulate: the term that is in force at the start.
using Tuned = std::tuple<regularizer::AdaptiveKl<>, regularizer::AdaptiveEntropy,
                         regularizer::LearnedMultiplier<regularizer::Kl<kl::FromReference<>, col::logp_old>>>;
using Advantages =
    std::tuple<advantage::Gae<>, advantage::GaeTokens<>, advantage::VTrace<>, advantage::LeakyVTrace<>,
               advantage::RewardToGo, advantage::ReinforcePlusPlus, advantage::GroupZScore, advantage::GroupMean,
               advantage::LeaveOneOut, advantage::BatchBaseline, advantage::LengthWeightedBaseline,
               advantage::GroupMeanBatchSpread, advantage::LeaveOneOutZScore, advantage::ScaledMeanBaseline,
               advantage::ReinforcePlusPlusBaseline, advantage::LengthAdaptiveGae<>, advantage::OneStepTarget,
               advantage::Remax, advantage::TurnReturns<>, advantage::BestOfGroup, advantage::BestMinusSecond,
               advantage::OptimalTokenBaseline<>, advantage::LocalAndGlobal<>, advantage::Remax, advantage::BestOfGroup,
               advantage::BestMinusSecond, advantage::OptimalTokenBaseline<>, advantage::LocalAndGlobal<>,
               advantage::SharedTokens<advantage::GroupZScore>, advantage::Whiten<advantage::GaeTokens<>>,
               advantage::Gdpo, advantage::ConstantBaseline, advantage::ExponentialWeight<>,
               advantage::MaximumAPosteriori, advantage::OnPolicyMaximumAPosteriori<advantage::Gae<>>,
               advantage::Times<advantage::GroupZScore, weight::Column<col::importance_weight>>,
               advantage::TimesGroup<advantage::GroupZScore, weight::Uncertainty>,
               advantage::Plus<advantage::GroupZScore, advantage::RewardToGo>, advantage::DecisionZScore>;
using Critics = std::tuple<critic::SquaredError, critic::ClippedValue, critic::Huber, critic::Expectile,
                           critic::SuccessProbability>;
using Corrections = std::tuple<correction::TruncatedToken, correction::IcePop, correction::TruncatedSequence,
                               correction::IcePopSequence, correction::GeometricMask, correction::Normalised,
                               correction::Reject<>, correction::Reject<correction::over::Sum>,
                               correction::Reject<correction::over::Mean, correction::within::K3>,
                               correction::Reject<correction::over::Largest, correction::within::K2>>;
using TwoPhase = std::tuple<surrogate::ClipCov<>, surrogate::KlCov, surrogate::TopEntropy<surrogate::Clip>,
                            surrogate::OffPolicySequenceMask<surrogate::Clip>>;

template <class T>
std::string name_of() {
    std::string name(type_name<T>());
    for (std::string_view scope :
         {"roars::", "surrogate::", "aggregate::", "regularizer::", "advantage::", "kl::", "critic::", "center::",
          "scale::", "pool::", "trust::", "correction::", "bound::", "col::", "pair::", "link::", "weight::"})
        for (std::size_t at; (at = name.find(scope)) != std::string::npos;) name.erase(at, scope.size());
    return name;
}

void add_all() {
    aggregate::TokenMean mean;
    surrogate::Clip clip{.low = 0.2, .high = 0.28};
    add("objective/clip + k3", [=](benchmark::State& state) {
        objective(state, Weighed{clip, mean}, Weighed{regularizer::Kl<kl::K3>{}, mean});
    });
    add("objective/clip (DAPO)", [=](benchmark::State& state) { objective(state, Weighed{clip, mean}); });
    for_types(Surrogates{}, [=]<class T>(T term) {
        add("surrogate/" + name_of<T>(), [=](benchmark::State& state) { objective(state, Weighed{term, mean}); });
    });
    for_types(Aggregates{}, [=]<class T>(T aggregate) {
        add("aggregate/" + name_of<T>(), [=](benchmark::State& state) { objective(state, Weighed{clip, aggregate}); });
    });
    for_types(Penalties{}, [=]<class T>(T term) {
        add("penalty/" + name_of<T>(), [=](benchmark::State& state) { objective(state, Weighed{term, mean}); });
    });
    for_types(Tuned{}, [=]<class T>(T part) {
        auto term = std::get<0>(part.terms(state_of<T>{}));
        add("penalty/" + name_of<T>(), [=](benchmark::State& state) { objective(state, Weighed{term, mean}); });
    });
    for_types(Advantages{}, []<class T>(T) { add("advantage/" + name_of<T>(), advantage<T>); });
    for_types(Critics{}, [=]<class T>(T term) {
        add("critic/" + name_of<T>(), [=](benchmark::State& state) { objective(state, Weighed{term, mean}); });
    });
    for_types(Corrections{}, []<class T>(T) { add("correction/" + name_of<T>(), correction_of<T>); });
    add("correction/effective_sample_size", sample_size);
    add("penalty/KlInReward", correction_of<regularizer::KlInReward>);
    add("penalty/KlInTurnReward", correction_of<regularizer::KlInTurnReward>);
    add("penalty/SelectiveLossMask", correction_of<regularizer::SelectiveLossMask>);
    add("penalty/KlOfTokens", correction_of<regularizer::KlOfTokens>);
    for_types(TwoPhase{}, []<class T>(T) {
        add("surrogate/" + name_of<T>(), [](benchmark::State& state) { whole_objective(state, OfGroups<T>{}, 8); });
    });
    auto method = [](const char* name, auto value, std::int64_t group) {
        add(name, [=](benchmark::State& state) { whole_objective(state, value, group); });
    };
    method("preference/DPO", methods::dpo, 2);
    method("preference/IPO", methods::ipo, 2);
    method("preference/IPO, per token", methods::IpoPerToken{}, 2);
    method("preference/RewardModel", methods::RewardModel{}, 2);
    method("preference/KTO", methods::kto, 2);
    method("preference/SimPO", methods::simpo, 2);
    method("preference/CPO", methods::cpo, 2);
    method("preference/ORPO", methods::orpo, 2);
    method("preference/WPO", methods::OfflinePreference<surrogate::OnPolicyPairs<>>{}, 2);
    method("preference/XPO", methods::OfflinePreference<surrogate::ExploratoryPairs<>>{}, 2);
    method("preference/AOT", methods::OfflinePreference<surrogate::SortedMargins<>>{}, 2);
    method("preference/AOT, unpaired", methods::OfflinePreference<surrogate::SortedPairwise<>>{}, 2);
    for_types(PairLosses{}, []<class Loss>(Loss) {
        add("preference/" + name_of<Loss>(), [](benchmark::State& state) {
            whole_objective(state, methods::OfflinePreference<surrogate::Pairwise<Loss>>{}, 2);
        });
    });
    method("method/RL-PLUS", methods::rl_plus, 8);
    method("method/SEELE", methods::seele, 8);
    method("method/ReLIFT, demonstrations", methods::relift.side, 8);
    method("method/COPO", methods::copo, 8);
    method("method/DisCO", methods::disco, 8);
    method("method/DisCO, mean", methods::disco_mean, 8);
    method("method/HICRA", methods::hicra, 8);
    method("method/KDRL", methods::kdrl, 8);
    method("method/Light-IF", methods::light_if, 8);
    method("method/Entropy-SFT", methods::entropy_sft, 8);
    method("method/ProRL", methods::prorl, 8);
    method("method/DAO", methods::direct_advantage, 8);
    auto rule = [](const char* name, auto with, std::int64_t moments, std::int64_t further_reads) {
        add(std::string("step/") + name,
            [=](benchmark::State& state) { step_rule(state, with, moments, further_reads); });
    };
    rule("Sgd", step::Sgd{}, 0, 0);
    rule("Sgd, momentum", step::Sgd{.momentum = 0.9}, 1, 0);
    rule("Lion", step::Lion{}, 1, 0);
    rule("AdamW", step::AdamW{.weight_decay = 0.1}, 2, 0);
    rule("Clipped<AdamW>", step::Clipped<step::AdamW>{}, 2, 1);
    rule("SkipNonFinite<AdamW>", step::SkipNonFinite<step::AdamW>{}, 2, 1);
    rule("Split<AdamW, AdamW>", step::Split<step::AdamW, step::AdamW>{.from = 1 << 21}, 2, 0);
    rule("Scheduled<AdamW>", step::Scheduled<step::AdamW, step::WarmUp<step::decay::Cosine>>{}, 2, 0);
    rule("Averaged<AdamW>", step::Averaged<step::AdamW>{}, 3, 0);
    rule("Accumulated<AdamW>", step::Accumulated<step::AdamW>{}, 2, 0);
    add("products/Muon", muon);
    auto reward = [](const char* name, auto part) {
        add(std::string("reward/") + name, [=](benchmark::State& state) { reward_of(state, part); });
    };
    reward("Verified", reward::Verified{});
    reward("Sum<Verified, SoftOverlong>", reward::Sum<reward::Verified, reward::SoftOverlong>{});
    reward("CosineLength", reward::CosineLength{});
    reward("LinearLength", reward::LinearLength{});
    reward("SoftOverlong", reward::SoftOverlong{});
    reward("Format", reward::Format{});
    reward("FormatShare", reward::FormatShare{});
    reward("ModelScore", reward::ModelScore{});
    reward("SeveralTools", reward::SeveralTools{});
    reward("Clip<Verified>", reward::Clip<reward::Verified>{});
    reward("Gate<Format, Verified>", reward::Gate<reward::Format, reward::Verified>{});
    reward("ReplaceTruncated<Verified>", reward::ReplaceTruncated<reward::Verified>{});
    reward("ScaleTruncated<Verified>", reward::ScaleTruncated<reward::Verified>{});
    reward("ReasoningCost<Verified>", reward::ReasoningCost<reward::Verified>{});
    reward("DenseConstraints", reward::DenseConstraints{});
    reward("RubricScore", reward::RubricScore{});
    reward("LengthScaled<Verified>", reward::LengthScaled<reward::Verified>{});
    reward("Then<Verified, RunningNormalise>", reward::Then<reward::Verified, reward::RunningNormalise>{});
    reward("ToolUse", reward::ToolUse{});
    reward("ToolUseEverywhere", reward::ToolUseEverywhere{});
    reward("ReturnOfTurns<Judgement>", reward::ReturnOfTurns<reward::Judgement>{});
    reward("ReturnOfTurns<JudgementByContainment>", reward::ReturnOfTurns<reward::JudgementByContainment>{});
    reward("Then<Verified, ShortestRightBonus>", reward::Then<reward::Verified, reward::ShortestRightBonus>{});
    reward("Then<OnLastTurn<Verified>, Grounding>",
           reward::Then<reward::OnLastTurn<reward::Verified>, reward::Grounding>{});
    reward("Then<Verified, InformationGain>", reward::Then<reward::Verified, reward::InformationGain<>>{});
    reward("Then<Verified, Repetition>", reward::Then<reward::Verified, reward::Repetition>{});
    reward("WindowedCost", reward::WindowedCost<>{});
    reward("Then<ModelScore, OutcomeBeforeCost>",
           reward::Then<reward::ModelScore, reward::OutcomeBeforeCost<reward::wrong::Nothing>>{});
    reward("Then<Verified, FewCalls>", reward::Then<reward::Verified, reward::FewCalls>{});
    reward("Then<Verified, FewestCalls>", reward::Then<reward::Verified, reward::FewestCalls>{});
    reward("Then<Verified, RememberedFewestCalls>", reward::Then<reward::Verified, reward::RememberedFewestCalls>{});
    add("target/NStep", [](benchmark::State& state) { target_of(state, critic::NStep{}); });
    add("target/LambdaReturn", [](benchmark::State& state) { target_of(state, critic::LambdaReturn{}); });
    add("target/Retrace", [](benchmark::State& state) {
        target_of<critic::Retrace, col::q, col::logp, col::logp_old>(state, critic::Retrace{});
    });
    add("target/TreeBackup",
        [](benchmark::State& state) { target_of<critic::TreeBackup, col::q, col::logp>(state, critic::TreeBackup{}); });
    add("target/CorrectedQLambda", [](benchmark::State& state) {
        target_of<critic::CorrectedQLambda, col::q>(state, critic::CorrectedQLambda{});
    });
    add("collect/ScaffoldedGroups", [](benchmark::State& state) { collect(state, sampler::ScaffoldedGroups<>{}); });
    add("collect/Groups", [](benchmark::State& state) { collect(state, sampler::Groups{}); });
    add("collect/DynamicGroups", [](benchmark::State& state) {
        collect(state, sampler::DynamicGroups{.prompts = sequences / 8, .max_draws = 1});
    });
    add("collect/Then<Groups, FilterGroups<Band>>", [](benchmark::State& state) {
        collect(state, sampler::Then<sampler::Groups, sampler::FilterGroups<sampler::keep::Band>>{});
    });
    add("collect/Then<Groups, MaskTruncated>",
        [](benchmark::State& state) { collect(state, sampler::Then<sampler::Groups, sampler::MaskTruncated>{}); });
    add("collect/Then<Groups, ScoreResampling<Power>>", [](benchmark::State& state) {
        collect(state, sampler::Then<sampler::Groups, sampler::ScoreResampling<sampler::weight::Power>>{});
    });
    add("collect/EntropyBranches, all initial", [](benchmark::State& state) {
        collect(state, sampler::EntropyBranches{.prompts = sequences / 8, .rollouts = 8, .initial = 8});
    });
    add("collect/StopSequences", stop_sequences);
    add("collect/Replay<Groups, Uniform>", [](benchmark::State& state) {
        collect(state, sampler::Replay<sampler::Groups, sampler::draw::Uniform>{.capacity = sequences / 8});
    });
    add("collect/Curriculum", curriculum);
    add("collect/FittedHints, the fit", hint_fit);
    add("draw/Uniform", [](benchmark::State& state) { draw_of(state, sampler::draw::Uniform{}, 1 << 20); });
    add("draw/Prioritised", [](benchmark::State& state) { draw_of(state, sampler::draw::Prioritised{}, 1024); });
    for (std::int64_t vocabulary : {32000, 151936}) {
        auto sample = [=](const char* name, const Generation& generation) {
            add("sampler/" + std::string(name) + ", " + std::to_string(vocabulary / 1000) + "k",
                [=](benchmark::State& state) { sampler(state, generation, vocabulary); });
        };
        sample("plain", {});
        sample("temperature 0.7", {.temperature = 0.7});
        sample("top-k 50", {.top_k = 50});
        sample("top-p 0.95", {.top_p = 0.95});
        sample("top-k 50, top-p 0.95", {.top_k = 50, .top_p = 0.95});
        sample("min-p 0.05", {.min_p = 0.05});
        sample("repetition 1.1", {.repetition_penalty = 1.1});
        sample("temperature 0 (the best)", {.temperature = 0.0});
    }
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    add_all();
    benchmark::RunSpecifiedBenchmarks();
}
