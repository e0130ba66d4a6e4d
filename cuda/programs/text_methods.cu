// roars_gpu: the program `roars`, whose transformers are on the current device. `roars_gpu train --method grpo --out
// run1` has the flags, the tasks and the run's folder of `roars train`.

#include <optional>

#include "roars/cuda/blas.cuh"
#include "roars/cuda/text_actor.hpp"
#include "train_text.hpp"

namespace roars::program {
namespace {

struct TextOnDevice {
    using Actor = gpu::TextActor<backend::Cuda>;
    struct Place {
        gpu::Stream stream;
        backend::Cuda device{stream};
    };
    template <class Method>
    static int train(const methods::Facts& facts, const Request& request) {
        std::optional<Place> place;
        return train_text<Method>(facts, request, [&] {
            expect(gpu::device_count() > 0, "there is no CUDA device, or no driver for it");
            return Actor(place.emplace().device);
        });
    }
};

}  // namespace

Programs all_programs() {
    Programs programs;
    add_text_on<TextOnDevice, methods::Grpo, methods::Dapo, methods::Gspo, methods::PpoVerified>(programs);
    return programs;
}

}  // namespace roars::program
