#pragma once

#include <Eigen/Core>
#include <cstddef>
#include <cstdint>

#include "roars/primitives/aligned.hpp"

namespace roars::matrix {

/// Columns are rows of the batch (tokens, states): an activation is [features x batch], stored column after column, so
/// a span over it reads [batch x features] row by row. Weights are [outputs x inputs], row by row.
template <class Real>
using Matrix = Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic>;
template <class Real>
using MatrixMap = Eigen::Map<Matrix<Real>>;
template <class Real>
using ConstMatrixMap = Eigen::Map<const Matrix<Real>>;
template <class Real>
using WeightMap = Eigen::Map<Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
template <class Real>
using ConstWeightMap = Eigen::Map<const Eigen::Matrix<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
/// Some features of every token: rows of an activation.
template <class Real>
using SliceMap = Eigen::Map<Matrix<Real>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <class Real>
using VectorMap = Eigen::Map<Eigen::Matrix<Real, Eigen::Dynamic, 1>>;
template <class Real>
using ConstVectorMap = Eigen::Map<const Eigen::Matrix<Real, Eigen::Dynamic, 1>>;

/// An activation that keeps its memory when the batch shrinks: steady state allocates nothing.
template <class Real>
class Buffer {
public:
    /// Contents are unspecified after a change of shape.
    MatrixMap<Real> resize(std::int64_t rows, std::int64_t columns) {
        rows_ = rows;
        columns_ = columns;
        if (static_cast<std::size_t>(rows * columns) > storage_.size())
            storage_.resize(static_cast<std::size_t>(rows * columns));
        return all();
    }
    MatrixMap<Real> all() { return {storage_.data(), rows_, columns_}; }
    MatrixMap<Real> columns(std::int64_t begin, std::int64_t count) {
        return {storage_.data() + begin * rows_, rows_, count};
    }
    SliceMap<Real> block(std::int64_t row, std::int64_t rows, std::int64_t begin, std::int64_t count) {
        return {storage_.data() + begin * rows_ + row, rows, count, Eigen::OuterStride<>(rows_)};
    }
    VectorMap<Real> column(std::int64_t index) { return {storage_.data() + index * rows_, rows_}; }
    Real* data() { return storage_.data(); }
    std::int64_t size() const { return rows_ * columns_; }

private:
    Aligned<Real> storage_;
    std::int64_t rows_ = 0, columns_ = 0;
};

namespace detail {

/// Eigen's cache blocking for one thread, with packing memory that the thread keeps: Eigen's own would be allocated in
/// every product beyond 128 KB.
template <class Real>
struct KeptBlocking : Eigen::internal::level3_blocking<Real, Real> {
    KeptBlocking(std::int64_t rows, std::int64_t columns, std::int64_t depth) {
        this->m_mc = rows;
        this->m_nc = columns;
        this->m_kc = depth;
        Eigen::internal::computeProductBlockingSizes<Real, Real, 1>(this->m_kc, this->m_mc, this->m_nc,
                                                                    Eigen::Index(1));
        thread_local Buffer<Real> left, right;
        this->m_blockA = left.resize(this->m_kc, this->m_mc).data();
        this->m_blockB = right.resize(this->m_kc, this->m_nc).data();
    }
};

/// target += left * right by Eigen's kernel on the calling thread. Eigen's own threads would cut the inner sum by their
/// number, and the bits of a run must not depend on it.
template <int LeftOrder, int RightOrder, class Real>
void add_product(std::int64_t rows, std::int64_t columns, std::int64_t depth, const Real* left,
                 std::int64_t left_stride, const Real* right, std::int64_t right_stride, Real* target,
                 std::int64_t target_stride) {
    if (rows == 0 || columns == 0 || depth == 0) return;
    KeptBlocking<Real> blocking(rows, columns, depth);
    Eigen::internal::general_matrix_matrix_product<Eigen::Index, Real, LeftOrder, false, Real, RightOrder, false,
                                                   Eigen::ColMajor, 1>::run(rows, columns, depth, left, left_stride,
                                                                            right, right_stride, target, 1,
                                                                            target_stride, Real(1), blocking, nullptr);
}

}  // namespace detail

/// target += left * right; all three direct (maps, blocks and their transposes), target column-major.
template <class Target, class Left, class Right>
void add_product(Target&& target, const Left& left, const Right& right) {
    static_assert(!std::decay_t<Target>::IsRowMajor);
    eigen_assert(target.rows() == left.rows() && target.cols() == right.cols() && left.cols() == right.rows());
    detail::add_product<Left::IsRowMajor ? Eigen::RowMajor : Eigen::ColMajor,
                        Right::IsRowMajor ? Eigen::RowMajor : Eigen::ColMajor>(
        target.rows(), target.cols(), left.cols(), left.data(), left.outerStride(), right.data(), right.outerStride(),
        target.data(), target.outerStride());
}

/// target = left * right.
template <class Target, class Left, class Right>
void set_product(Target&& target, const Left& left, const Right& right) {
    target.setZero();
    add_product(target, left, right);
}

}  // namespace roars::matrix
