#include "train_text.hpp"

namespace roars::program {

void add_sequence_methods(Programs& programs) {
    programs["dr-grpo"] = train_text<methods::DrGrpo>;
    programs["rloo"] = train_text<methods::Rloo>;
    programs["gspo"] = train_text<methods::Gspo>;
}

}  // namespace roars::program
