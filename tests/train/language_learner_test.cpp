#include "roars/train/language_learner.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "roars/methods/dapo.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/optimizer/surrogates/covariance.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/trainer.hpp"
#include "small_text.hpp"

namespace roars::language_learner_test {
namespace {

using small_text::Task;

template <class Method>
using LearnerOf = train::LanguageLearner<Task, contains_v<col::value, typename Method::Inputs>>;

template <class Method>
Method with_learning_rate(Method method, double learning_rate) {
    set_everywhere(method, "learning_rate", learning_rate);
    return method;
}
/// The papers' settings, a few prompts, steps that show.
template <class Method>
Method small(Method method) {
    method.sampler.prompts = 6;
    method.sampler.group_size = 4;
    method.optimizer.minibatches = 2;
    return with_learning_rate(method, 3e-3);
}

/// A run that can be stopped after any iteration.
template <class Method>
struct Session {
    LearnerOf<Method> learner;
    train::Trainer<Method, LearnerOf<Method>> trainer;
    std::int64_t done = 0;
    std::uint64_t seed;

    Session(const Method& method, std::uint64_t seed_)
        : learner(small_text::task(), small_text::policy, {.continuous_reward = true, .micro_tokens = 64}, seed_),
          trainer(method, learner),
          seed(seed_) {}

    /// Some right answers, so that there is something to learn from rewards.
    void warm_start() {
        auto method = with_learning_rate(methods::supervised, 1e-2);
        method.sampler.batch_size = 32;
        train::Trainer<methods::SupervisedLikelihood, LearnerOf<Method>> supervised(method, learner);
        backend::Host host;
        roars::Run run{host, Random(seed)};
        for (int i = 0; i < 30; ++i) supervised.iterate(run);
        learner.set_reference();
    }
    std::vector<train::Record> iterate(std::int64_t count) {
        backend::Host host;
        std::vector<train::Record> records;
        for (std::int64_t end = done + count; done < end; ++done) {
            roars::Run run{host, Random(seed), Progress{done, 10}};
            records.push_back(trainer.iterate(run));
        }
        return records;
    }
    std::vector<float> parameters() const {
        auto values = learner.parameters().values();
        return {values.begin(), values.end()};
    }
};

template <class Method>
void check_deterministic(const Method& method) {
    Session<Method> first(method, 5), second(method, 5), other(method, 6);
    first.warm_start(), second.warm_start(), other.warm_start();
    auto start = first.parameters();
    auto records = first.iterate(3);
    EXPECT_EQ(second.iterate(3), records);
    for (const auto& [name, value] : records.front())
        if (name == "outcome") EXPECT_GT(value, 0.0);
    other.iterate(3);
    EXPECT_EQ(first.parameters(), second.parameters());
    EXPECT_NE(first.parameters(), other.parameters());
    EXPECT_NE(first.parameters(), start);
    for (float value : first.parameters()) ASSERT_TRUE(std::isfinite(value));
}
TEST(LanguageTraining, IsAFunctionOfItsSeed) {
    check_deterministic(small(methods::dapo));
    check_deterministic(small(methods::grpo));
    check_deterministic(small(methods::ppo));
}

template <class Method>
void check_continues(const Method& method) {
    Session<Method> whole(method, 3), first(method, 3);
    whole.warm_start(), first.warm_start();
    EXPECT_EQ(whole.iterate(2), first.iterate(2));
    SafeTensors file;
    first.learner.write(file);
    train::write_state(file, first.trainer.state, "method");
    train::write_state(file, first.learner.position, "position");
    const std::string path = ::testing::TempDir() + "roars_language_learner_test.safetensors";
    file.save(path);
    SafeTensors loaded = SafeTensors::load(path);

    Session<Method> second(method, 99);  // nothing of its own start may show
    second.seed = 3;
    second.done = first.done;
    second.learner.read(loaded);
    train::read_state(loaded, second.trainer.state, "method");
    train::read_state(loaded, second.learner.position, "position");
    EXPECT_EQ(second.iterate(2), whole.iterate(2));
    EXPECT_EQ(second.parameters(), whole.parameters());
    EXPECT_EQ(to_json(second.trainer.state), to_json(whole.trainer.state));
}
TEST(LanguageTraining, ContinuesBitForBitFromACheckpoint) {
    check_continues(small(methods::dapo));
    check_continues(small(methods::grpo));
    check_continues(small(methods::ppo));
}

TEST(LanguageTraining, ACheckpointOfAnotherMethodIsRefused) {
    SafeTensors file;
    train::write_state(file, methods::SupervisedLikelihood::State{}, "method");
    methods::Dapo::State state;
    try {
        train::read_state(file, state, "method");
        FAIL() << "no error";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "checkpoint: lacks 'method.sampler.rollouts'");
    }
}

using Learner = train::LanguageLearner<Task>;
using Rollouts = Batch<float, Learner::gives>;

struct Drawn {
    Learner learner;
    Rollouts batch;
    Drawn(const train::LanguageSettings& language, const Generation& generation)
        : learner(small_text::task(), small_text::policy, language, 2) {
        backend::Host host;
        roars::Run run{host, Random(8)};
        learner.roll_out(run, batch, 5, 6, generation);
        learner.refresh(run, batch);
    }
};

TEST(LanguageRollouts, WereDrawnFromThePolicyThatIsTrained) {
    for (double temperature : {1.0, 0.7}) {
        Drawn drawn({}, {.temperature = temperature});
        auto& batch = drawn.batch;
        EXPECT_EQ(batch.sequences(), 30);
        EXPECT_EQ(batch.groups(), 5);
        for (std::size_t t = 0; t < std::size_t(batch.tokens()); ++t) {
            EXPECT_NEAR(batch[col::logp_behaviour{}][t], batch[col::logp_old{}][t], 2e-5);
            EXPECT_EQ(batch[col::logp_ref{}][t], batch[col::logp_old{}][t]);
            EXPECT_EQ(batch[col::mask{}][t], 1.0f);
        }
    }
}

TEST(LanguageRollouts, EndOrAreCut) {
    for (std::int64_t most : {1, 3, 6}) {
        Drawn drawn({.max_new_tokens = most}, {});
        auto& batch = drawn.batch;
        Offsets offsets = batch.token_offsets();
        int cut = 0;
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
            std::int64_t length = offsets[i + 1] - offsets[i];
            ASSERT_TRUE(length >= 1 && length <= most) << length;
            for (auto t = offsets[i]; t < offsets[i + 1]; ++t) {
                bool end = batch[col::token{}][std::size_t(t)] == tasks::Vocabulary::end;
                bool last = t + 1 == offsets[i + 1];
                EXPECT_EQ(end, last && batch[col::truncated{}][i] == 0);
            }
            if (batch[col::truncated{}][i] != 0) {
                ++cut;
                EXPECT_EQ(length, most);
            }
        }
        EXPECT_GT(cut, 0);
    }
}

TEST(LanguageRollouts, OfOneGroupAnswerOnePromptAndEqualAnswersHaveEqualNumbers) {
    Drawn drawn({.max_new_tokens = 2}, {});
    auto& batch = drawn.batch;
    Offsets groups = batch[col::groups{}], offsets = batch.token_offsets();
    for (std::size_t g = 0; g + 1 < groups.size(); ++g)
        for (auto i = groups[g]; i < groups[g + 1]; ++i)
            EXPECT_EQ(batch[col::prompt{}][std::size_t(i)], batch[col::prompt{}][std::size_t(groups[g])]);
    std::set<std::pair<std::vector<std::int32_t>, std::int32_t>> pairs;
    std::set<std::vector<std::int32_t>> texts;
    std::set<std::int32_t> numbers;
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
        auto tokens = batch[col::token{}].subspan(std::size_t(offsets[i]), std::size_t(offsets[i + 1] - offsets[i]));
        std::vector<std::int32_t> text(tokens.begin(), tokens.end());
        pairs.insert({text, batch[col::answer{}][i]});
        texts.insert(text);
        numbers.insert(batch[col::answer{}][i]);
    }
    EXPECT_EQ(pairs.size(), texts.size());
    EXPECT_EQ(pairs.size(), numbers.size());
}

TEST(LanguageRollouts, GoOnWhereTheyStopped) {
    backend::Host host;
    roars::Run run{host, Random(8)};
    Learner whole(small_text::task(), small_text::policy, {}, 2), first(small_text::task(), small_text::policy, {}, 2);
    Rollouts one, two, skipped;
    whole.roll_out(run, one, 4, 3, {});
    whole.roll_out(run, two, 4, 3, {});
    first.position = {4, 12};
    first.roll_out(run, skipped, 4, 3, {});
    auto tokens = [](const Rollouts& batch) {
        return std::vector<std::int32_t>(batch[col::token{}].begin(), batch[col::token{}].end());
    };
    EXPECT_EQ(tokens(skipped), tokens(two));
    EXPECT_NE(tokens(one), tokens(two));
}

std::vector<std::string> texts_of(const Rollouts& batch) {
    std::vector<std::string> texts;
    for (std::int64_t i = 0; i < batch.sequences(); ++i) {
        auto first = batch.token_offsets()[std::size_t(i)], last = batch.token_offsets()[std::size_t(i) + 1];
        texts.push_back(small_text::task().vocabulary().decode(
            std::span<const std::int32_t>(batch[col::token{}]).subspan(std::size_t(first), std::size_t(last - first))));
    }
    return texts;
}

/// The same answers, each cut behind the first stop sequence in it; what is judged is what stands before.
TEST(LanguageRollouts, EndWithAStopSequence) {
    backend::Host host;
    roars::Run run{host, Random(8)};
    Learner plain(small_text::task(), small_text::policy, {.max_new_tokens = 12}, 2);
    Learner stopped(small_text::task(), small_text::policy, {.max_new_tokens = 12, .stop = "+ 12 3"}, 2);
    Rollouts whole, cut;
    plain.roll_out(run, whole, 8, 8, {});
    stopped.roll_out(run, cut, 8, 8, {});
    auto all = texts_of(whole), some = texts_of(cut);
    int stops = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::size_t end = std::string::npos, length = 0;
        for (std::string stop : {"+", "12", "3"})
            if (auto at = all[i].find(stop); at != std::string::npos && at + stop.size() < end)
                end = at + stop.size(), length = stop.size();
        EXPECT_EQ(some[i], all[i].substr(0, end));
        bool stopped_here = end != std::string::npos;
        stops += stopped_here;
        if (stopped_here) EXPECT_EQ(cut[col::truncated{}][i], 0.0f);
        auto judged = small_text::task().vocabulary().encode(stopped_here ? some[i].substr(0, end - length) : some[i]);
        EXPECT_EQ(cut[col::outcome{}][i], float(small_text::task().correct(cut[col::prompt{}][i], judged)));
    }
    EXPECT_GT(stops, 10);
    EXPECT_THROW(Learner(small_text::task(), small_text::policy, {.stop = "a"}, 2), Error)
        << "no character of the task";
}

/// A penalty that forbids: no token comes twice, nor one of the prompt, until all have been used.
TEST(LanguageRollouts, FollowTheRepetitionPenalty) {
    backend::Host host;
    roars::Run run{host, Random(8)};
    Learner learner(small_text::task(), small_text::policy, {.max_new_tokens = 5}, 2);
    for (float& parameter : learner.parameters().values()) parameter *= 3;  // no logit is 0
    Rollouts plain, penalised;
    learner.roll_out(run, plain, 8, 8, {});
    learner.roll_out(run, penalised, 8, 8, {.repetition_penalty = 1e6});
    auto repeats = [&](const Rollouts& batch) {
        int count = 0;
        auto texts = texts_of(batch);
        for (std::size_t i = 0; i < texts.size(); ++i) {
            std::string seen = small_text::task().vocabulary().decode(
                small_text::task().problem(batch[col::prompt{}][i]).prompt_tokens);
            for (char character : texts[i]) {
                count += seen.find(character) != std::string::npos;
                seen += character;
            }
        }
        return count;
    };
    EXPECT_GT(repeats(plain), 20);
    EXPECT_LT(repeats(penalised), 0.2 * repeats(plain));
}

/// The gradient of one minibatch, however many tokens go through the actor at once.
template <class Method>
auto gradient_of(const Method& method, std::int64_t micro_tokens) {
    using Own = LearnerOf<Method>;
    Own learner(small_text::task(), small_text::policy, {.continuous_reward = true, .micro_tokens = micro_tokens}, 4);
    typename train::Trainer<Method, Own>::BatchType batch;
    typename Method::State state;
    backend::Host host;
    roars::Run run{host, Random(4)};
    learner.roll_out(run, batch, 6, 4, {});
    for (std::size_t i = 0; i < 24; ++i) batch[col::outcome{}][i] = std::sin(float(i * i));
    method.score(run, state, batch);
    learner.refresh(run, batch);
    for (auto& x : batch[col::logp_old{}]) x -= 0.05f;
    method.estimate(run, state, batch);
    learner.parameters().zero_gradients();
    auto result = learner.accumulate(method, run, state, batch);
    auto gradients = learner.parameters().gradients();
    return std::pair(result, std::vector<float>(gradients.begin(), gradients.end()));
}
template <class Method>
auto check_micro_batches(const Method& method) {
    auto [whole, expected] = gradient_of(method, 1 << 20);
    auto [pieces, gradient] = gradient_of(method, 1);
    double largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_NEAR(gradient[i], expected[i], 1e-5) << i;
        largest = std::max(largest, std::abs(double(expected[i])));
    }
    EXPECT_GT(largest, 1e-3);
    EXPECT_NEAR(pieces.loss(), whole.loss(), 1e-5);
    EXPECT_EQ(pieces.tokens, whole.tokens);
    return whole;
}
TEST(LanguageTraining, MicroBatchesChangeNothing) {
    check_micro_batches(methods::grpo);
    check_micro_batches(methods::ppo);
}

/// Terms that need numbers of the whole minibatch get those of the policy as it is now.
TEST(LanguageTraining, TermsOfTwoPhasesSeeTheLogProbabilities) {
    using KlCov = Algorithm<sampler::Groups, reward::Verified, advantage::GroupZScore, regularizer::None,
                            optimizer::PolicyGradient<surrogate::KlCov, aggregate::TokenMean, step::AdamW>>;
    auto result = check_micro_batches(KlCov{.optimizer = {.surrogate = {.fraction = 0.25}}});
    double penalised = result.metric("penalised_fraction") * double(result.tokens);
    EXPECT_NEAR(penalised, std::floor(0.25 * double(result.tokens)), 1e-6);
}

TEST(LanguageTraining, LearnsDemonstrations) {
    auto method = with_learning_rate(methods::supervised, 1e-2);
    method.sampler.batch_size = 32;
    Session<methods::SupervisedLikelihood> session(method, 1);
    auto records = session.iterate(30);
    auto loss = [&](const train::Record& record) {
        for (const auto& [name, value] : record)
            if (name == "loss") return value;
        return std::nan("");
    };
    EXPECT_LT(loss(records.back()), 0.6 * loss(records.front()));
}

}  // namespace
}  // namespace roars::language_learner_test
