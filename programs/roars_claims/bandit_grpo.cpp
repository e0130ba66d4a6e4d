#include "training.hpp"

template roars::claims::Numbers roars::claims::train_and_measure(const PlainGrpo&, BanditLearner&, const Trial&,
                                                                 const Measured&);
