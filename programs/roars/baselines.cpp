#include "train_text.hpp"

namespace roars::program {

void add_baselines(Programs& programs) {
    programs["supervised"] = train_text<methods::SupervisedLikelihood>;
    programs["reinforce"] = train_text<methods::Reinforce>;
    programs["grpo"] = train_text<methods::Grpo>;
    programs["dapo"] = train_text<methods::Dapo>;
}

}  // namespace roars::program
