#pragma once

#include <concepts>
#include <cstdint>

#include "roars/algorithm.hpp"

namespace roars {

/// turn_value(x, i, k): the reward of turn k, which is of sequence i, from columns in its `needs`; x a view of the
/// batch.
template <class P>
concept TurnReward = Part<P> && requires(const P& part, const archetype::AnyView& x, std::int64_t i, std::int64_t k) {
    { part.turn_value(x, i, k) } -> std::convertible_to<double>;
};

namespace reward {

/// What a search agent gets for its judgement of what a search found: right, a useless finding accepted, a useful one
/// rejected.
struct JudgementValue {
    double right = 0.3;
    double accept_wrong = -0.6;
    double reject_right = -0.3;

    /// 0 where nothing is judged (below 0).
    ROARS_FN double of(double judgement, bool useful) const {
        if (judgement < 0) return 0.0;
        const bool accepted = judgement > 0.5;
        return accepted == useful ? right : accepted ? accept_wrong : reject_right;
    }
};
ROARS_FIELDS(JudgementValue, right, accept_wrong, reject_right)

/// A turn's judgement against the ideal one, yes if relevance > threshold; the last turn is the answer, and worth the
/// outcome. A rollout that was cut has no answer: its last turn is judged like the others. Shapes: judgement, relevance
/// [turns], outcome, truncated [sequences]. Source: ReSeek, arXiv 2510.00568.
struct Judgement {
    double threshold = 0.7;
    JudgementValue value{};

    using needs = columns<col::turns, col::turn_owner, col::judgement, col::relevance, col::outcome, col::truncated>;
    static constexpr bool everywhere = true;

    template <class X>
    ROARS_FN double turn_value(const X& x, std::int64_t i, std::int64_t k) const {
        const bool last = k + 1 == x[col::turn_owner{}][i + 1], answered = x[col::truncated{}][i] == 0;
        if (last && answered) return static_cast<double>(x[col::outcome{}][i]);
        return value.of(static_cast<double>(x[col::judgement{}][k]), x[col::relevance{}][k] > threshold);
    }
};
ROARS_FIELDS(Judgement, threshold, value)

/// The same as released: useful is what holds the answer (relevance > threshold, of 0 or 1). Where the final answer is
/// right, an acceptance is right without looking, and what is right gets `boost` more; the outcome comes on top, at the
/// last turn. Without a final answer everything is 0.
struct JudgementByContainment {
    double threshold = 0.5;
    JudgementValue value{};
    double boost = 0.1;

    using needs = Judgement::needs;
    static constexpr bool everywhere = true;

    template <class X>
    ROARS_FN double turn_value(const X& x, std::int64_t i, std::int64_t k) const {
        if (x[col::truncated{}][i] != 0) return 0.0;
        const double judgement = static_cast<double>(x[col::judgement{}][k]);
        const double outcome = static_cast<double>(x[col::outcome{}][i]);
        const bool solved = outcome > 0.5, accepted = judgement > 0.5;
        const bool useful = (solved && accepted) || x[col::relevance{}][k] > threshold;
        const double bonus = solved && judgement >= 0 && accepted == useful ? boost : 0.0;
        return value.of(judgement, useful) + bonus + (k + 1 == x[col::turn_owner{}][i + 1] ? outcome : 0.0);
    }
};
ROARS_FIELDS(JudgementByContainment, threshold, value, boost)

/// R_i = r_0 + gamma r_1 + ... over the turns of a rollout; 0 without any. Shapes: [turns] -> reward [sequences].
template <TurnReward Base>
struct ReturnOfTurns {
    Base base{};
    double gamma = 1.0;

    using needs = unite_t<columns<col::turns, col::turn_owner>, needs_of<Base>>;
    using gives = columns<col::reward>;
    static constexpr bool everywhere = true;

    template <class X>
    struct OfSequence {
        Base base;
        double gamma;
        X x;
        ROARS_FN void operator()(std::int64_t i) const {
            double sum = 0.0;
            for (std::int64_t k = x[col::turn_owner{}][i + 1]; k-- > x[col::turn_owner{}][i];)
                sum = base.turn_value(x, i, k) + gamma * sum;
            x[col::reward{}][i] = static_cast<typename X::Real>(sum);
        }
    };
    template <class RunType, BatchWith<col::turns, col::turn_owner, col::reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{base, gamma, x});
    }
};
template <class Base>
ROARS_FIELDS_OF((ReturnOfTurns<Base>), base, gamma)

/// The reward of the whole rollout by one part, of its turns by another. Shapes: reward [sequences], turn_reward
/// [turns].
template <SequenceReward Whole, TurnReward Turn>
struct WithTurns {
    Whole whole{};
    Turn turn{};

    using needs = unite_t<columns<col::turns, col::turn_owner>, needs_of<Whole>, needs_of<Turn>>;
    using gives = columns<col::reward, col::turn_reward>;
    static constexpr bool everywhere = true;

    template <class X>
    struct OfSequence {
        roars::detail::ValueOfSequence<Whole, X> whole;
        Turn turn;
        ROARS_FN void operator()(std::int64_t i) const {
            const X& x = whole.x;
            x[col::reward{}][i] = whole(i);
            for (std::int64_t k = x[col::turn_owner{}][i]; k < x[col::turn_owner{}][i + 1]; ++k)
                x[col::turn_reward{}][k] = static_cast<typename X::Real>(turn.turn_value(x, i, k));
        }
    };
    template <class RunType, BatchWith<col::turns, col::turn_owner, col::reward, col::turn_reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        auto x = view_of<unite_t<needs, gives>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{{whole, x}, turn});
    }
};
template <class Whole, class Turn>
ROARS_FIELDS_OF((WithTurns<Whole, Turn>), whole, turn)

}  // namespace reward
}  // namespace roars
