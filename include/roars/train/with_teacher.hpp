#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "roars/columns.hpp"
#include "roars/error.hpp"

namespace roars::train {

/// A learner beside a teacher: a frozen policy of the same kind, which says how probable it finds the student's tokens
/// (col::logp_teacher), for methods that distil (KDRL, arXiv 2506.02208). The teacher is not in the checkpoint. Errors:
/// a batch that asks for it before set_teacher.
template <class Learner>
class WithTeacher : public Learner {
public:
    using Policy = std::remove_reference_t<decltype(std::declval<Learner&>().policy())>;
    using gives = unite_t<typename Learner::gives, columns<col::logp_teacher>>;
    using Learner::Learner;

    void set_teacher(Policy teacher) { teacher_.emplace(std::move(teacher)); }

    template <class RunType, class BatchType>
    void refresh(RunType& run, BatchType& batch) {
        Learner::refresh(run, batch);
        if constexpr (BatchType::template has<col::logp_teacher>) {
            expect(teacher_.has_value(), "a batch asks for logp_teacher, but there is no teacher: call set_teacher");
            this->log_probabilities(run, batch, *teacher_, batch[col::logp_teacher{}]);
        }
    }

private:
    std::optional<Policy> teacher_;
};

}  // namespace roars::train
