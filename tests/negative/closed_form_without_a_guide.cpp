// expect: the optimizer is a closed form, and this learner does not act by the advantage
#include "roars/methods/demonstration_regularized.hpp"
#include "roars/train/trainer.hpp"

using namespace roars;

struct Learner {
    using Real = double;
    using gives = methods::DemonstrationRegularised::Inputs;
    using keeps = columns<col::mask>;
    template <class RunType, class BatchType>
    void play(RunType&, BatchType&, std::int64_t, bool) {}
    template <class BatchType>
    void all_rows(BatchType&) const {}
    template <class RunType, class BatchType>
    void refresh(RunType&, BatchType&) {}
};
void train_it(Learner& learner, Run<backend::Host>& run) {
    train::Trainer<methods::DemonstrationRegularised, Learner>(methods::demonstration_regularised, learner)
        .advance(run);
}
