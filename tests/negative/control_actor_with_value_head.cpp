#include "roars/methods/ppo.hpp"
#include "roars/train/trainer.hpp"

using namespace roars;

struct Learner {
    using Real = float;
    using gives = columns<col::groups, col::mask, col::logp, col::logp_old, col::logp_ref, col::outcome, col::value,
                          col::value_old>;
    using keeps = columns<>;
};
using Columns = train::Trainer<methods::Ppo, Learner>::BatchType::Columns;
