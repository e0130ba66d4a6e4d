#pragma once

#include "roars/primitives/matrix.hpp"

namespace roars::actor {

using matrix::add_product;
using matrix::Aligned;
using matrix::Buffer;
using matrix::ConstMatrixMap;
using matrix::ConstVectorMap;
using matrix::ConstWeightMap;
using matrix::Matrix;
using matrix::MatrixMap;
using matrix::set_product;
using matrix::SliceMap;
using matrix::VectorMap;
using matrix::WeightMap;

}  // namespace roars::actor
