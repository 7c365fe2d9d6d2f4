// What names the contents of a cache: the weights and the arithmetic that they were computed with.
#pragma once

#include <string_view>

#include "engine/scheduler/block_record.h"

namespace quern::engine::gguf {
class File;
}

namespace quern::engine::scheduler {

/// XXH3 of all metadata, of every tensor's name, type and shape, of kSamples pieces of each tensor's data,
/// spread from its beginning to its end, and of Executable::numerics().
///
/// Size and time of a file do not name its weights: a copy keeps both, a download in place changes neither.
/// All bytes would, at half a second a few gigabytes. Samples are enough for what happens to models:
/// training, merging and quantizing with another matrix of importance change the numbers all over a tensor,
/// and who changes one weight by hand to mislead Quern has the person's own rights already. A tensor no
/// larger than its samples is hashed whole. Milliseconds when the file is in memory, as it is while a model
/// is being loaded.
ModelHash hashModel(const gguf::File& file, std::string_view numerics);

}  // namespace quern::engine::scheduler
