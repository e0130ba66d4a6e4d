// expect: column_given_by_two_parts<.*columns<.*col::token_reward> *>
#include "roars/methods/ppo.hpp"

using namespace roars;

struct FlatPenalty {
    using gives = columns<col::token_reward>;
    template <class RunType, class BatchType>
    void shape(RunType&, BatchType& batch) const {
        for (auto& reward : batch[col::token_reward{}]) reward = -1;
    }
};
using Twice = Algorithm<sampler::Groups, reward::OnLastToken<reward::Verified>, methods::Ppo::Advantage, FlatPenalty,
                        methods::Ppo::Optimizer>;
using Columns = Twice::Columns;
