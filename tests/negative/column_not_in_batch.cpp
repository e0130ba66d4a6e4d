// expect: column_is_not_in_this_batch<.*col::entropy>
#include "roars/batch.hpp"

using namespace roars;

float first_entropy(const Batch<float, columns<col::logp>>& batch) { return batch[col::entropy{}][0]; }
