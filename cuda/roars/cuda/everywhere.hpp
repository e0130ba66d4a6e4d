#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "roars/cuda/batch.hpp"
#include "roars/cuda/segments.hpp"
#include "roars/cuda/sort.hpp"
#include "roars/everywhere.hpp"
#include "roars/run.hpp"

/// What parts that run everywhere are made of (roars/everywhere.hpp), on a device.
namespace roars {

namespace gpu {

template <class Part>
struct Estimate;

template <class BatchType>
Segments sequences_of(const BatchType& batch) {
    return {batch.token_offsets(), batch.sequences(), batch.tokens()};
}
template <class BatchType>
Segments groups_of(const BatchType& batch) {
    return {batch[col::groups{}], batch.groups(), batch.sequences()};
}

namespace detail {

template <class Mask, class BatchType>
const typename BatchType::Real* mask_or_null(const BatchType& batch) {
    if constexpr (BatchType::template has<Mask>)
        return batch[Mask{}];
    else
        return nullptr;
}

template <class S>
struct AddTo {
    S* to;
    ROARS_FN void operator()(std::int64_t, const S& sum) const { *to += sum; }
};
struct PlusSums {
    template <class S>
    ROARS_FN S operator()(const S& a, const S& b) const {
        S sum = a;
        sum += b;
        return sum;
    }
};
/// value(x_t) where token t counts, 0 elsewhere; x of its columns.
template <class Mask, class Value, class ViewType>
struct ValueOfToken {
    Value value;
    ViewType view;
    ROARS_FN double operator()(std::int64_t t) const {
        if (!view.template trainable<Mask>(t)) return 0.0;
        return static_cast<double>(value(view.token(typename Value::needs{}, 0, t)));
    }
};
template <class Out, class From, class X, class Of>
struct MapToken {
    X x;
    Of of;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
        using Real = typename X::Real;
        x[Out{}][t] = x.trainable(t) ? of(x.of(i))(x.token(From{}, i, t)) : Real(0);
    }
};

}  // namespace detail
}  // namespace gpu

template <gpu::Device D>
struct Everywhere<D> {
    template <class T>
    class Scratch {
    public:
        Scratch(D& device, std::int64_t count) : frame_(device), values_(frame_.template take<T>(count)) {}
        T* data() { return values_; }

    private:
        gpu::Frame<D> frame_;
        T* values_;
    };

    template <class T>
    class List {
    public:
        std::int64_t size() const { return size_; }
        const T* data() const { return values_.data(); }
        T* data() { return values_.data(); }
        T* extend(D& device, std::int64_t count) {
            if (size_ + count > values_.size()) {
                gpu::Buffer<T, D> larger(device, std::max(size_ + count, 2 * values_.size()));
                device.copy(larger.data(), data(), static_cast<std::size_t>(size_) * sizeof(T), gpu::Way::within);
                values_ = std::move(larger);
            }
            size_ += count;
            return data() + (size_ - count);
        }
        void clear() { size_ = 0; }

    private:
        gpu::Buffer<T, D> values_;
        std::int64_t size_ = 0;
    };

    template <class Part, class State, class BatchType>
    static void estimate(const Part& part, Run<D>& run, State& state, BatchType& batch) {
        gpu::Estimate<Part>::run(part, run, state, batch);
    }
    template <class Set, class BatchType>
    static auto view(const BatchType& batch) {
        return batch.template view<Set>();
    }
    template <class T>
    static void clear(D& device, T* to, std::int64_t count) {
        device.zero(to, static_cast<std::size_t>(count) * sizeof(T));
    }
    template <class Body>
    static void for_each(D& device, std::int64_t count, const Body& body) {
        gpu::for_each(device, count, body);
    }
    template <class BatchType, class Body>
    static void for_each_token(D& device, const BatchType& batch, const Body& body) {
        gpu::segmented_for_each(device, gpu::sequences_of(batch), body);
    }
    template <class S, class Value>
    static void add(D& device, std::int64_t count, const Value& value, S& to) {
        gpu::Frame<D> frame(device);
        auto* ends = frame.template take<std::int64_t>(2);
        gpu::detail::reduce_segments<S>(device, gpu::whole(device, count, ends), gpu::detail::SumOver<Value, S>{value},
                                        gpu::detail::PlusSums{}, gpu::detail::AddTo<S>{&to});
    }
    static void sort(D& device, double* values, std::int64_t count) {
        gpu::Frame<D> frame(device);
        auto* permutation = frame.template take<std::int64_t>(count);
        auto* sorted = frame.template take<double>(count);
        argsort(device, values, count, permutation);
        gpu::gather(device, values, permutation, count, sorted);
        device.copy(values, sorted, static_cast<std::size_t>(count) * sizeof(double), gpu::Way::within);
    }
    template <class T>
    static void argsort(D& device, const T* values, std::int64_t count, std::int64_t* order) {
        gpu::stable_argsort<Ascending>(device, values, count, order);
    }
    template <class S, class BatchType, class Value>
    static void sequence_totals(D& device, const BatchType& batch, const Value& value, S* to) {
        gpu::detail::reduce_segments<S>(device, gpu::sequences_of(batch), gpu::detail::SumOver<Value, S>{value},
                                        gpu::detail::PlusSums{}, gpu::detail::StoreAt<S>{to});
    }
    template <class Mask, class BatchType>
    static void lengths(D& device, const BatchType& batch, std::int64_t* to) {
        gpu::segmented_count(device, gpu::sequences_of(batch), gpu::detail::mask_or_null<Mask>(batch), to);
    }
    template <class Mask, class BatchType, class Value>
    static void sequence_sums(D& device, const BatchType& batch, const Value& value, double* to) {
        using Columns = unite_t<typename Value::needs, common_t<columns<Mask>, typename BatchType::Columns>>;
        auto view = batch.template view<Columns>();
        gpu::segmented_sum_of(device, gpu::sequences_of(batch),
                              gpu::detail::ValueOfToken<Mask, Value, decltype(view)>{value, view}, to);
    }
    template <class Out, class From, class BatchType, class X, class Of>
    static void map(D& device, BatchType& batch, const X& x, const Of& of) {
        gpu::segmented_for_each(device, gpu::sequences_of(batch), gpu::detail::MapToken<Out, From, X, Of>{x, of});
    }
    template <class BatchType, class T>
    static void group_moments(D& device, const BatchType& batch, const T* values, Moments* to) {
        gpu::segmented_moments(device, gpu::groups_of(batch), values, to);
    }
    template <class T>
    static void moments(D& device, const T* values, const char* there, std::int64_t count, Moments* to) {
        gpu::Frame<D> frame(device);
        auto* ends = frame.template take<std::int64_t>(2);
        gpu::segmented_moments(device, gpu::whole(device, count, ends), values, to, there);
    }
};

}  // namespace roars
