#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/batch.hpp"
#include "roars/cuda/device.hpp"
#include "roars/everywhere.hpp"

namespace roars::gpu {

template <class Real, class Set>
using View = BatchView<Real, Set>;

namespace detail {
template <class Column, class Real, class D>
struct Held {
    Buffer<value_of<Column, Real>, D> own;
    value_of<Column, Real>* to = nullptr;
    std::int64_t size = 0, width = 1;
    bool held = false;
};
template <class Real, class D, class Set>
struct HeldColumns;
template <class Real, class D, class... Column>
struct HeldColumns<Real, D, columns<Column...>> : Held<Column, Real, D>... {};
}  // namespace detail

/// A batch in the memory of a device, with the columns of `Set`. Each column is either somebody else's memory (borrow)
/// or its own (own, own_rest); one without memory is an error when it is asked for. Offsets are given from the host
/// and copied, or borrowed on the device together with the number of tokens, so that nothing has to wait for them.
///
///     gpu::Batch<float, A::Columns, backend::Cuda> batch(gpu, token_offsets, group_offsets);
///     batch.borrow(col::logp{}, logp_pointer, tokens);
///     batch.own_rest();
template <class Real_, class Set, class D>
class Batch {
public:
    using Real = Real_;
    using Columns = Set;
    template <class Column>
    static constexpr bool has = contains_v<Column, Columns>;

    Batch(D& device, Offsets token_offsets, Offsets group_offsets = {}) : device_(&device) {
        roars::Batch<Real, columns<col::groups>> checked(token_offsets);
        own_offsets_ = Buffer<std::int64_t, D>(device, token_offsets);
        offsets_ = own_offsets_.data();
        tokens_ = checked.tokens();
        sequences_ = checked.sequences();
        if constexpr (has<col::groups>) {
            if (group_offsets.empty()) return;
            checked.set_offsets(col::groups{}, group_offsets);
            auto& column = slot<col::groups>();
            column.own = Buffer<std::int64_t, D>(device, group_offsets);
            hold(column, column.own.data(), std::ssize(group_offsets));
        }
    }
    /// Everything on the device already: token_offsets [sequences + 1], group_offsets [groups + 1] or none. They are
    /// taken as they are.
    Batch(D& device, const std::int64_t* token_offsets, std::int64_t sequences, std::int64_t tokens,
          const std::int64_t* group_offsets = nullptr, std::int64_t groups = 0)
        : device_(&device), offsets_(token_offsets), tokens_(tokens), sequences_(sequences) {
        if constexpr (has<col::groups>)
            if (group_offsets) hold(slot<col::groups>(), const_cast<std::int64_t*>(group_offsets), groups + 1);
    }
    /// A copy of a batch of the host: its columns that are in Set too. The others have no memory yet.
    template <class O, class B>
    Batch(D& device, const roars::Batch<Real, O, B>& host) : Batch(device, host.token_offsets()) {
        upload(host);
    }

    D& device() const { return *device_; }
    std::int64_t tokens() const { return tokens_; }
    std::int64_t sequences() const { return sequences_; }
    std::int64_t groups() const {
        if constexpr (has<col::groups>)
            return slot<col::groups>().held ? slot<col::groups>().size - 1 : 0;
        else
            return 0;
    }
    std::int64_t turns() const {
        if constexpr (has<col::turns>)
            return slot<col::turns>().held ? slot<col::turns>().size - 1 : 0;
        else
            return 0;
    }
    const std::int64_t* token_offsets() const { return offsets_; }

    /// The column's values on the device. Errors: it has no memory.
    template <class Column>
    value_of<Column, Real>* operator[](Column) const {
        const auto& column = slot<Column>();
        expect(column.held, [] {
            return std::string(Column::name) + ": has no memory in this batch of the device: borrow it or own it";
        });
        return column.to;
    }
    template <class Column>
    std::int64_t size(Column) const {
        return slot<Column>().size;
    }
    template <class Column>
    std::int64_t width(Column) const {
        return slot<Column>().width;
    }

    /// The column is the caller's memory on the device, which must outlive this: `size` values. Errors: not as many as
    /// there are tokens, sequences or groups, times `width`.
    template <class Column>
    Batch& borrow(Column, value_of<Column, Real>* values, std::int64_t size, std::int64_t width = 1) {
        expect(Column::kind == Kind::offsets || size == count<Column>() * width, [&] {
            return std::string(Column::name) + ": has " + std::to_string(size) + " values, expected " +
                   std::to_string(count<Column>() * width);
        });
        auto& column = slot<Column>();
        column.own = {};
        column.width = width;
        hold(column, values, size);
        return *this;
    }
    /// The column has memory of its own, zero at first.
    template <class Column>
    Batch& own(Column, std::int64_t width = 1) {
        static_assert(Column::kind != Kind::offsets, "offsets are given, not made");
        auto& column = slot<Column>();
        column.own = Buffer<value_of<Column, Real>, D>(*device_, count<Column>() * width);
        column.own.zero();
        column.width = width;
        hold(column, column.own.data(), column.own.size());
        return *this;
    }
    /// A column of the batch's own becomes one of rows. Errors: it is borrowed.
    template <class Column>
    void set_width(Column column, std::int64_t width) {
        const auto& held = slot<Column>();
        if (held.held && held.width == width) return;
        expect(!held.held || held.own.data() == held.to,
               [] { return std::string(Column::name) + ": is borrowed with rows of another width"; });
        own(column, width);
    }
    /// All columns that have no memory get some, but for offsets and masks that nobody brought.
    Batch& own_rest() {
        for_each_column(Columns{}, [&]<class Column>(Column column) {
            if constexpr (Column::kind != Kind::offsets)
                if (!slot<Column>().held) own(column);
        });
        return *this;
    }

    /// Copies the host's columns that are here too; one without memory gets some. Ordered on the stream: the host's
    /// memory must rest until the device waits.
    template <class O, class B>
    void upload(const roars::Batch<Real, O, B>& host) {
        expect(host.tokens() == tokens_ && host.sequences() == sequences_,
               "a batch of the host and one of the device have different sizes");
        using HostBatch = roars::Batch<Real, O, B>;
        for_each_column(common_t<Columns, typename HostBatch::Columns>{},
                        [&]<class Column>(Column) { upload_one<Column>(host); });
    }
    template <class Set_, class O, class B>
    void upload(Set_, const roars::Batch<Real, O, B>& host) {
        for_each_column(Set_{}, [&]<class Column>(Column) { upload_one<Column>(host); });
    }
    /// A batch of the host with a copy of these columns, those of `extra` besides zero. Waits.
    template <class Wanted, class Extra = columns<>>
    auto download(Wanted, Extra = {}) const {
        roars::Batch<Real, unite_t<Wanted, Extra>> host(read_values(*device_, offsets_, sequences_ + 1));
        auto copied = minus_t<Wanted, minus_t<Wanted, Columns>>{};
        for_each_column(copied, [&]<class Column>(Column column) {
            if constexpr (Column::kind == Kind::offsets)
                if (slot<Column>().held)
                    host.set_offsets(column, read_values(*device_, slot<Column>().to, slot<Column>().size));
        });
        for_each_column(copied, [&]<class Column>(Column column) {
            if constexpr (Column::kind != Kind::offsets) {
                const auto& from = slot<Column>();
                expect(from.held, [] { return std::string(Column::name) + ": has no memory in this batch"; });
                if (from.width != 1) host.set_width(column, from.width);
                auto to = host[column];
                device_->copy(to.data(), from.to, to.size_bytes(), Way::to_host);
            }
        });
        device_->wait();
        return host;
    }

    /// What a kernel gets: all columns of `Wanted`. Errors: one has no memory though there are values to hold.
    template <class Wanted = Columns>
    View<Real, Wanted> view() const {
        View<Real, Wanted> view;
        for_each_column(Wanted{},
                        [&]<class Column>(Column column) { view.point(column, (*this)[column], width(column)); });
        view.token_offsets = offsets_;
        view.tokens = tokens_;
        view.sequences = sequences_;
        view.groups = groups();
        return view;
    }
    template <class Column>
    bool holds(Column) const {
        if constexpr (has<Column>)
            return slot<Column>().held;
        else
            return false;
    }

private:
    template <class Column>
    using Slot = detail::Held<Column, Real, D>;
    template <class Column>
    Slot<Column>& slot() {
        static_assert(std::conditional_t<has<Column>, std::true_type, column_is_not_in_this_batch<Column>>::value);
        return static_cast<Slot<Column>&>(columns_);
    }
    template <class Column>
    const Slot<Column>& slot() const {
        static_assert(std::conditional_t<has<Column>, std::true_type, column_is_not_in_this_batch<Column>>::value);
        return static_cast<const Slot<Column>&>(columns_);
    }
    template <class SlotType, class Value>
    static void hold(SlotType& column, Value* to, std::int64_t size) {
        column.to = to;
        column.size = size;
        column.held = true;
    }
    template <class Column>
    std::int64_t count() const {
        if constexpr (Column::extent == Extent::token)
            return tokens_;
        else if constexpr (Column::extent == Extent::sequence)
            return sequences_;
        else if constexpr (Column::extent == Extent::group)
            return groups();
        else if constexpr (Column::extent == Extent::turn) {
            static_assert(has<col::turns>, "roars: this batch has no turns");
            return turns();
        } else
            return 1;
    }
    template <class Column, class HostBatch>
    void upload_one(const HostBatch& host) {
        auto& column = slot<Column>();
        auto from = host[Column{}];
        if (from.empty() && Column::kind == Kind::offsets) return;
        std::int64_t width = 1;
        if constexpr (Column::kind != Kind::offsets) width = host.width(Column{});
        if (!column.held || column.size != std::ssize(from)) {
            column.own = Buffer<value_of<Column, Real>, D>(*device_, std::ssize(from));
            hold(column, column.own.data(), column.own.size());
            column.width = width;
        }
        device_->copy(column.to, from.data(), from.size_bytes(), Way::to_device);
    }

    D* device_;
    Buffer<std::int64_t, D> own_offsets_;
    const std::int64_t* offsets_ = nullptr;
    std::int64_t tokens_ = 0, sequences_ = 0;
    detail::HeldColumns<Real, D, Columns> columns_;
};

}  // namespace roars::gpu
