#include "engine/runtime/cpu/cpu_executable.h"

#include <algorithm>
#include <cmath>
#include <string_view>

#include "engine/base/text.h"
#include "engine/runtime/cpu/decode_width.h"
#include "engine/runtime/cpu/fresh_pages.h"
#include "engine/runtime/cpu/read_speed.h"
#include "kernels/reference/dequantize.h"

namespace quern::engine::runtime {
namespace {

using model::Buffer;

std::uint64_t hiddenBytes(const model::Program& program, const CompileOptions& options) {
  return static_cast<std::uint64_t>(options.hiddenRows) * static_cast<std::uint64_t>(program.width) *
         sizeof(float);
}

base::Error invalid(std::string sentence) { return {base::ErrorCode::kInvalidArgument, std::move(sentence)}; }

}  // namespace

std::uint64_t CpuExecutable::workBytesFor(const model::Program& program, const kernels::cpu::Kernels& kernels,
                                          const CompileOptions& options, std::int32_t threads) {
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < model::kBuffers; ++i) {
    const auto buffer = static_cast<Buffer>(i);
    const std::int32_t rows = buffer == Buffer::kLogits ? options.logitRows : options.batchTokens;
    bytes += static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(program.widthOf(buffer)) *
             sizeof(float);
  }
  bytes += hiddenBytes(program, options);
  const std::int64_t widest = std::max({program.width, program.hidden, program.latent.queryRank,
                                        program.heads * std::max(program.valueDim, program.latent.value)});
  bytes += ActivationSpace::bytesFor(options.batchTokens, widest, options.batchTokens);
  bytes +=
      static_cast<std::uint64_t>(threads) * ActivationSpace::bytesFor(kPrivateTokens, widest, kPrivateTokens);
  const std::int32_t blocks = (options.kvTokens + kKvBlockTokens - 1) / kKvBlockTokens;
  const AttentionRoom room = attentionRoom(program, kernels, blocks, threads);
  bytes += (static_cast<std::uint64_t>(threads) * room.scratchFloats + room.partialFloats) * sizeof(float);
  bytes += ExpertRoom::bytesFor(ExpertSizes::of(program), options.batchTokens, kPrivateTokens, threads);
  bytes += static_cast<std::uint64_t>(threads) *
           ActivationSpace::bytesFor(kLatentTokens, widestLatent(program), 0);
  return bytes;
}

base::Result<std::unique_ptr<CpuExecutable>> CpuExecutable::make(std::shared_ptr<const gguf::File> file,
                                                                 const model::Program& program,
                                                                 const kernels::cpu::Kernels& kernels,
                                                                 const CompileOptions& options,
                                                                 std::int32_t threads,
                                                                 const Progress& progress) {
  std::unique_ptr<CpuExecutable> made(new CpuExecutable(program, kernels));
  CpuExecutable& e = *made;
  e.options_ = options;
  e.pool_ = std::make_unique<ThreadPool>(threads);
  QUERN_ASSIGN(e.plan_, compilePlan(*file, program, kernels, *e.pool_, progress));
  e.file_ = std::move(file);
  const std::int32_t blocks = (options.kvTokens + kKvBlockTokens - 1) / kKvBlockTokens;
  QUERN_ASSIGN(e.cache_, KvCache::make(program, options.kvType, blocks));

  for (std::size_t i = 0; i < model::kBuffers; ++i) {
    const auto buffer = static_cast<Buffer>(i);
    const std::int32_t rows = buffer == Buffer::kLogits ? options.logitRows : options.batchTokens;
    const auto floats = static_cast<std::size_t>(rows) * static_cast<std::size_t>(program.widthOf(buffer));
    QUERN_ASSIGN(e.buffers_[i], AlignedBuffer::allocate(floats * sizeof(float)));
  }
  QUERN_ASSIGN(e.hidden_, AlignedBuffer::allocate(hiddenBytes(program, options)));
  // A step has two phases at most, one to prepare and one to compute; experts have kExpertPhases, hidden
  // states one.
  std::size_t phases = 1;
  for (const auto* steps : {&e.plan_.body, &e.plan_.head}) {
    for (const Step& step : *steps) phases += std::holds_alternative<ExpertsStep>(step) ? kExpertPhases : 2;
  }
  e.phases_ = std::make_unique<Phases>(phases);
  QUERN_ASSIGN(e.experts_,
               ExpertRoom::make(ExpertSizes::of(program), options.batchTokens, kPrivateTokens, threads));
  QUERN_ASSIGN(e.shared_,
               ActivationSpace::make(options.batchTokens, e.plan_.widestInput, options.batchTokens));
  for (std::int32_t worker = 0; worker < threads; ++worker) {
    Worker space;
    QUERN_ASSIGN(space.latent, ActivationSpace::make(kLatentTokens, widestLatent(program), 0));
    QUERN_ASSIGN(space.input, ActivationSpace::make(kPrivateTokens, e.plan_.widestInput, kPrivateTokens));
    e.workers_.push_back(std::move(space));
  }
  for (const model::Rope& rope : program.ropes) {
    const auto floats = static_cast<std::size_t>(options.batchTokens) * static_cast<std::size_t>(rope.rotary);
    QUERN_ASSIGN(AlignedBuffer table, AlignedBuffer::allocate(floats * sizeof(float)));
    e.cosSin_.push_back(std::move(table));
    const std::int32_t context = options.contextTokens > 0 ? options.contextTokens : options.kvTokens;
    e.longRope_.push_back(!rope.longFrequencies.empty() && context > rope.longFrom);
  }
  e.tokens_.reserve(static_cast<std::size_t>(options.batchTokens));
  e.runs_.reserve(static_cast<std::size_t>(options.batchTokens));
  e.wanted_.reserve(static_cast<std::size_t>(options.logitRows));
  e.wantedHidden_.reserve(static_cast<std::size_t>(options.hiddenRows));
  e.adapted_.reserve(static_cast<std::size_t>(options.batchTokens));
  e.adaptedHead_.reserve(static_cast<std::size_t>(options.logitRows));
  e.adapters_.reserve(kMostAdapters * static_cast<std::size_t>(options.batchTokens));
  QUERN_TRY(e.makeAttention());
  e.workBytes_ = workBytesFor(program, kernels, options, threads);
  e.decodeWorkers_ = threads;
  if (options.threads == 0) {
    std::vector<kernels::cpu::PackedMatrix> matrices;
    for (const Step& step : e.plan_.body) {
      if (const auto* experts = std::get_if<ExpertsStep>(&step)) {
        for (const PackedStack* each : {&experts->gate, &experts->up, &experts->down}) {
          matrices.push_back(each->matrix);
        }
      }
      const auto* project = std::get_if<ProjectStep>(&step);
      for (std::size_t i = 0; project != nullptr && i < project->outputs.size(); ++i)
        matrices.push_back(project->outputs[i].matrix);
    }
    e.decodeWorkers_ = decodeWorkers(*e.pool_, kernels, matrices);
  }
  return made;
}

MemoryUse CpuExecutable::memory() const { return {plan_.packedBytes, cache_.sizeBytes(), workBytes_}; }

std::uint64_t CpuExecutable::bytesPerToken(std::int32_t position) const {
  std::uint64_t bytes = plan_.packedBytes + plan_.embedRowBytes;
  for (const Step& step : plan_.body) {
    if (const auto* experts = std::get_if<ExpertsStep>(&step)) {
      bytes -=
          static_cast<std::uint64_t>(experts->choice.experts - experts->choice.used) * experts->expertBytes();
    }
    if (const auto* attention = std::get_if<AttendStep>(&step)) {
      const std::int32_t all = position + 1;
      const std::int32_t seen = attention->window > 0 ? std::min(all, attention->window) : all;
      bytes += static_cast<std::uint64_t>(seen) * static_cast<std::uint64_t>(program_.kvHeads) *
               cache_.tokenBytes();
    }
  }
  return bytes;
}

std::uint64_t CpuExecutable::bytesOfLastRun() const {
  std::uint64_t bytes = bytesPerToken(0);
  for (const Step& step : plan_.body) {
    const auto* experts = std::get_if<ExpertsStep>(&step);
    if (experts != nullptr)
      bytes -= static_cast<std::uint64_t>(experts->choice.used) * experts->expertBytes();
  }
  return bytes + adapterBytesRead_ + expertBytesRead_.load(std::memory_order_relaxed);
}

bool CpuExecutable::settle() {
  auto& pages = plan_.smallPages;
  if (pages.empty()) return false;
  // What the system cannot do for one page it cannot do for the next.
  if (mergePages(pages.back())) {
    pages.pop_back();
  } else {
    pages.clear();
  }
  return !pages.empty();
}

double CpuExecutable::readBandwidth() {
  if (readBandwidth_ == 0) readBandwidth_ = bestReadSpeed(*pool_, plan_.packed.bytes());
  return readBandwidth_;
}

std::string CpuExecutable::description() const {
  const std::string_view name = kernels_.name;
  const char* set = name == "avx512vnni" ? "CPU AVX-512 VNNI"
                    : name == "avxvnni"  ? "CPU AVX-VNNI"
                    : name == "avx2"     ? "CPU AVX2"
                                         : "CPU";
  return std::string(set) + ", " + std::to_string(threads()) + (threads() == 1 ? " thread" : " threads");
}

bool CpuExecutable::promptsAreDecodes() const {
  if (kernels_.panelMatmul == nullptr) return true;
  for (const Step& step : plan_.body) {
    const auto* project = std::get_if<ProjectStep>(&step);
    if (project != nullptr && project->quantizes) return false;
    const auto* experts = std::get_if<ExpertsStep>(&step);
    if (experts != nullptr && (experts->reads.quantized || experts->readsHidden.quantized)) return false;
  }
  return true;
}

std::string CpuExecutable::numerics() const {
  std::string name = "cpu " + std::to_string(kCpuArithmetic) + " " + kernels_.name;
  for (const bool isLong : longRope_) name += isLong ? " long" : "";
  return name;
}

std::span<float> CpuExecutable::logits(std::int32_t index) {
  QUERN_CHECK(index >= 0 && index < static_cast<std::int32_t>(wanted_.size()),
              "a row that was not asked for");
  return {row(Buffer::kLogits, index), static_cast<std::size_t>(program_.vocabulary)};
}

std::span<const float> CpuExecutable::hidden(std::int32_t index) const {
  QUERN_CHECK(index >= 0 && index < static_cast<std::int32_t>(wantedHidden_.size()),
              "a hidden state that was not asked for");
  const auto width = static_cast<std::size_t>(program_.width);
  return {hidden_.as<float>() + static_cast<std::size_t>(index) * width, width};
}

void CpuExecutable::copyBlock(std::uint32_t from, std::uint32_t to) {
  const auto blocks = static_cast<std::uint32_t>(cache_.blocks());
  QUERN_CHECK(from < blocks && to < blocks, "a block that the KV cache does not have");
  if (from != to) cache_.copyBlock(from, to);
}

void CpuExecutable::readBlock(std::uint32_t block, std::span<std::byte> to) const {
  QUERN_CHECK(block < static_cast<std::uint32_t>(cache_.blocks()), "a block that the KV cache does not have");
  QUERN_CHECK(to.size() == cache_.blockBytes(), "a block's contents and their place differ in size");
  cache_.readBlock(block, to.data());
}

void CpuExecutable::writeBlock(std::uint32_t block, std::span<const std::byte> from) {
  QUERN_CHECK(block < static_cast<std::uint32_t>(cache_.blocks()), "a block that the KV cache does not have");
  QUERN_CHECK(from.size() == cache_.blockBytes(), "a block's contents and their place differ in size");
  cache_.writeBlock(block, from.data());
}

base::Result<void> CpuExecutable::check(const Batch& batch) const {
  std::size_t tokens = 0;
  std::size_t rows = 0;
  std::size_t hiddenRows = 0;
  for (const Slice& slice : batch.slices) {
    tokens += slice.tokens.size();
    if (slice.tokens.empty()) return invalid("A slice has no tokens.");
    if (slice.logitRows < 0 || static_cast<std::size_t>(slice.logitRows) > slice.tokens.size()) {
      return invalid("A slice asks for more rows of logits than it has tokens.");
    }
    if (slice.logitRows > 0 && plan_.head.empty()) {
      return invalid("This model has hidden states to give, but no logits.");
    }
    rows += static_cast<std::size_t>(slice.logitRows);
    if (slice.hiddenRows < 0 || static_cast<std::size_t>(slice.hiddenRows) > slice.tokens.size()) {
      return invalid("A slice asks for more hidden states than it has tokens.");
    }
    hiddenRows += static_cast<std::size_t>(slice.hiddenRows);
    if (slice.firstPosition < 0) return invalid("A slice begins before its sequence does.");
    if (!program_.isCausal && slice.firstPosition != 0) {
      return invalid("This model reads a text as a whole, but a slice goes on with one.");
    }
    const std::size_t end = static_cast<std::size_t>(slice.firstPosition) + slice.tokens.size();
    if (program_.mostPositions > 0 && end > static_cast<std::size_t>(program_.mostPositions)) {
      return invalid("A slice ends at position " + base::grouped(end) + "; this model knows " +
                     base::grouped(static_cast<std::uint64_t>(program_.mostPositions)) + " positions.");
    }
    const std::size_t blocks = (end + kKvBlockTokens - 1) / kKvBlockTokens;
    if (slice.blockTable.size() < blocks || blocks > static_cast<std::size_t>(cache_.blocks())) {
      return invalid("A slice ends at position " + base::grouped(end) +
                     ", beyond its blocks of the KV cache.");
    }
    for (std::size_t block = 0; block < blocks; ++block) {
      if (slice.blockTable[block] >= static_cast<std::uint32_t>(cache_.blocks())) {
        return invalid("A block table names a block that the KV cache does not have.");
      }
    }
    QUERN_TRY(checkAdapters(slice));
    for (const std::int32_t token : slice.tokens) {
      if (token < 0 || token >= program_.vocabulary) {
        return invalid("Token " + std::to_string(token) + " is not in the model's vocabulary of " +
                       base::grouped(static_cast<std::uint64_t>(program_.vocabulary)) + ".");
      }
    }
  }
  if (tokens == 0 || tokens > static_cast<std::size_t>(options_.batchTokens)) {
    return invalid("A batch of " + base::grouped(tokens) + " tokens; this model was loaded for 1 to " +
                   base::grouped(static_cast<std::uint64_t>(options_.batchTokens)) + ".");
  }
  if (rows > static_cast<std::size_t>(options_.logitRows)) {
    return invalid("A batch asks for " + base::grouped(rows) + " rows of logits; this model was loaded for " +
                   base::grouped(static_cast<std::uint64_t>(options_.logitRows)) + ".");
  }
  if (hiddenRows > static_cast<std::size_t>(options_.hiddenRows)) {
    return invalid("A batch asks for " + base::grouped(hiddenRows) +
                   " hidden states; this model was loaded for " +
                   base::grouped(static_cast<std::uint64_t>(options_.hiddenRows)) + ".");
  }
  return base::ok();
}

/// Lists the batch's tokens, wanted rows and shares of attention; nothing is allocated, the lists were
/// reserved.
void CpuExecutable::lay(const Batch& batch) {
  batch_ = &batch;
  tokens_.clear();
  runs_.clear();
  wanted_.clear();
  wantedHidden_.clear();
  std::int32_t panelTokens = 0;
  for (std::size_t s = 0; s < batch.slices.size(); ++s) {
    const Slice& slice = batch.slices[s];
    const auto first = static_cast<std::int32_t>(tokens_.size());
    const auto count = static_cast<std::int32_t>(slice.tokens.size());
    const auto sliceIndex = static_cast<std::int32_t>(s);
    const bool usesPanel = slice.isPrompt && kernels_.panelMatmul != nullptr;
    if (runs_.empty() || (runs_.back().panel >= 0) != usesPanel) {
      runs_.push_back({first, 0, usesPanel ? panelTokens : -1});
    }
    runs_.back().tokens += count;
    for (std::int32_t i = 0; i < count; ++i) {
      tokens_.push_back({slice.tokens[static_cast<std::size_t>(i)], slice.firstPosition + i, sliceIndex,
                         usesPanel ? panelTokens++ : -1});
      if (i >= count - slice.logitRows) wanted_.push_back(first + i);
      if (i >= count - slice.hiddenRows) wantedHidden_.push_back(first + i);
    }
  }
  layAdapters(batch);
  layAttention(batch);
}

base::Result<void> CpuExecutable::run(const Batch& batch) {
  QUERN_TRY(check(batch));
  lay(batch);
  phases_->reset(phases_->most());
  expertBytesRead_.store(0, std::memory_order_relaxed);
  const bool fewTokens = static_cast<std::int64_t>(tokens_.size()) <= kPrivateTokens;
  pool_->runSome(fewTokens ? decodeWorkers_ : pool_->threads(),
                 [this](std::int32_t worker) { work(worker); });
  batch_ = nullptr;
  return base::ok();
}

void CpuExecutable::work(std::int32_t worker) {
  std::size_t phase = 0;
  const auto tokens = static_cast<std::int64_t>(tokens_.size());
  for (const auto* steps : {&plan_.body, &plan_.head}) {
    const bool head = steps == &plan_.head;
    if (head && !wantedHidden_.empty()) keepHidden(phase);
    if (head && wanted_.empty()) break;
    for (const Step& step : *steps) {
      std::visit(
          [&](const auto& one) {
            using T = std::decay_t<decltype(one)>;
            if constexpr (std::is_same_v<T, EmbedStep>) {
              overTokens(phase, tokens, [&](std::int64_t token) { embed(one, token); });
            }
            if constexpr (std::is_same_v<T, NormStep>) {
              const std::int64_t width = program_.widthOf(one.buffer);
              overTokens(phase, tokens, [&](std::int64_t token) {
                norm(one.norm, row(one.buffer, token), width, row(one.buffer, token));
              });
            }
            if constexpr (std::is_same_v<T, NormAddStep>) {
              overTokens(phase, tokens, [&](std::int64_t token) { normAdd(one, token); });
            }
            if constexpr (std::is_same_v<T, ProjectStep>) project(one, worker, phase, head);
            if constexpr (std::is_same_v<T, AttendStep>) attend(one, worker, phase);
            if constexpr (std::is_same_v<T, ExpertsStep>) experts(one, worker, phase);
            if constexpr (std::is_same_v<T, AbsorbKeysStep>) absorbKeys(one, worker, phase);
            if constexpr (std::is_same_v<T, ExpandValuesStep>) expandValues(one, worker, phase);
          },
          step);
    }
  }
}

void CpuExecutable::embed(const EmbedStep& step, std::int64_t t) {
  const Token& token = tokens_[static_cast<std::size_t>(t)];
  float* x = row(Buffer::kResidual, t);
  const auto width = static_cast<std::size_t>(program_.width);
  kernels::reference::dequantizeRow(step.tokens.type, step.tokens.row(token.id), x, width);
  if (step.scale != 1.0F) {
    for (std::int32_t i = 0; i < program_.width; ++i) x[i] *= step.scale;
  }
  if (step.positions.rows != nullptr) {
    float* position = row(Buffer::kNormed, t);  // which is empty as yet
    kernels::reference::dequantizeRow(step.positions.type, step.positions.row(token.position), position,
                                      width);
    kernels_.add(x, position, program_.width);
  }
  if (step.constant != nullptr) kernels_.add(x, step.constant, program_.width);
  for (std::size_t r = 0; r < program_.ropes.size(); ++r) {
    const model::Rope& rope = program_.ropes[r];
    const std::vector<float>& frequencies = longRope_[r] ? rope.longFrequencies : rope.frequencies;
    float* cosSin = cosSin_[r].as<float>() + t * rope.rotary;
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const float angle = static_cast<float>(token.position) * frequencies[i];
      cosSin[2 * i] = std::cos(angle) * rope.magnitude;
      cosSin[2 * i + 1] = std::sin(angle) * rope.magnitude;
    }
  }
}

void CpuExecutable::norm(const NormWeights& norm, const float* x, std::int64_t width, float* out) const {
  if (norm.isCentred) {
    kernels_.layerNorm(x, norm.weight, norm.bias, norm.epsilon, width, out);
  } else {
    kernels_.rmsNorm(x, norm.weight, norm.epsilon, width, out);
  }
}

void CpuExecutable::normAdd(const NormAddStep& step, std::int64_t token) {
  float* normed = row(step.in, token);
  norm(step.norm, normed, program_.width, normed);
  kernels_.add(row(Buffer::kResidual, token), normed, program_.width);
}

/// The norm is the one that the head's projection is fused with.
void CpuExecutable::keepHidden(std::size_t& phase) {
  const ProjectStep* normed = nullptr;
  for (const Step& step : plan_.head) {
    const auto* project = std::get_if<ProjectStep>(&step);
    if (project != nullptr && project->prepare == ProjectStep::Prepare::kNorm) normed = project;
  }
  const std::int64_t width = program_.width;
  overTokens(phase, static_cast<std::int64_t>(wantedHidden_.size()), [&](std::int64_t index) {
    const std::int64_t token = wantedHidden_[static_cast<std::size_t>(index)];
    float* to = hidden_.as<float>() + index * width;
    if (normed == nullptr) {
      std::copy_n(row(Buffer::kResidual, token), width, to);
    } else {
      norm(normed->norm, row(normed->in, token), width, to);
    }
  });
}

void CpuExecutable::prepare(const ProjectStep& step, std::int64_t token, std::int32_t worker,
                            const Prepared& inputs, bool head) {
  using Prepare = ProjectStep::Prepare;
  ActivationSpace& space = inputs.space;
  const std::int64_t cols = step.cols;
  const std::int64_t source = head ? wanted_[static_cast<std::size_t>(token)] : token;
  // Logits are always exact: one row of them, and a long matrix.
  const std::int32_t panel = head ? -1 : tokens_[static_cast<std::size_t>(token)].panel;
  // What only its rounding is read of stays in the worker's caches.
  const bool isPassing = panel >= 0 && step.quantizes && !step.readsValues;
  float* values = isPassing ? workers_[static_cast<std::size_t>(worker)].input.values(0, cols)
                            : space.values(token, cols);
  const float* prepared = values;
  const float* up = step.hasUp ? row(Buffer::kUp, source) : nullptr;
  switch (step.prepare) {
    case Prepare::kNone:
      if (isPassing) {
        prepared = row(step.in, source);
      } else {
        std::copy_n(row(step.in, source), cols, values);
      }
      break;
    case Prepare::kNorm:
      norm(step.norm, row(step.in, source), cols, values);
      break;
    case Prepare::kSilu:
      kernels_.siluMul(row(Buffer::kGate, source), up, values, cols);
      break;
    case Prepare::kGelu:
      kernels_.geluMul(row(Buffer::kGate, source), up, values, cols);
      break;
    case Prepare::kGeluErf:
      kernels_.geluErfMul(row(Buffer::kGate, source), up, values, cols);
      break;
    case Prepare::kSwigluOai:
      kernels_.swigluOai(row(Buffer::kGate, source), row(Buffer::kUp, source), values, cols);
      break;
  }
  if (step.scale != 1.0F || step.isGated) prepared = scaled(step, prepared, source, values);
  if (!adapted_.empty()) {
    const Slice& slice =
        batch_->slices[static_cast<std::size_t>(tokens_[static_cast<std::size_t>(source)].slice)];
    prepareChanges(step, slice.adapters, prepared, inputs.products + token * productStride());
  }
  if (!step.quantizes) return;
  if (panel >= 0) {
    kernels_.quantizePanelRow(prepared, cols, space.panel(), panel);
  } else {
    kernels_.quantizeRow(prepared, cols, space.quantized(token, cols), space.scales(token, cols),
                         space.sums(token, cols));
  }
}

/// `prepared` times the step's scale, and times its gate, in `values`.
const float* CpuExecutable::scaled(const ProjectStep& step, const float* prepared, std::int64_t token,
                                   float* values) {
  float scale = step.scale;
  if (step.isGated) scale /= 1.0F + std::exp(-*row(Buffer::kSharedGate, token));
  for (std::int64_t i = 0; i < step.cols; ++i) values[i] = prepared[i] * scale;
  return values;
}

void CpuExecutable::project(const ProjectStep& step, std::int32_t worker, std::size_t& phase, bool head) {
  const auto tokens = static_cast<std::int64_t>(head ? wanted_.size() : tokens_.size());
  const bool isPrivate = tokens <= kPrivateTokens;
  Worker& own = workers_[static_cast<std::size_t>(worker)];
  const Prepared inputs =
      isPrivate ? Prepared{own.input, own.products.as<float>()} : Prepared{shared_, products_.as<float>()};
  if (!isPrivate) {
    overTokens(phase, tokens, [&](std::int64_t token) { prepare(step, token, worker, inputs, head); });
  }
  const std::int32_t threads = pool_->threads();
  const std::int64_t shares =
      threads == 1 ? 1
                   : std::clamp<std::int64_t>(step.tiles / kTilesAShare, threads, kSharesAThread * threads);
  bool prepared = !isPrivate;
  phases_->run(phase++, static_cast<std::int32_t>(shares), [&](std::int32_t share) {
    // Whoever holds a share knows that the input is still what it was: the phase is not over.
    for (std::int64_t t = 0; t < tokens && !prepared; ++t) prepare(step, t, worker, inputs, head);
    prepared = true;
    const std::int64_t firstTile = step.tiles * share / shares;
    const std::int64_t lastTile = step.tiles * (share + 1) / shares;
    if (head) {
      multiply(step, firstTile, lastTile, inputs, {0, static_cast<std::int32_t>(tokens), -1}, head);
    } else {
      for (const Run& run : runs_) multiply(step, firstTile, lastTile, inputs, run, head);
    }
  });
}

void CpuExecutable::multiply(const ProjectStep& step, std::int64_t firstTile, std::int64_t lastTile,
                             const Prepared& inputs, const Run& run, bool head) {
  ActivationSpace& space = inputs.space;
  for (std::size_t index = 0; index < step.outputs.size(); ++index) {
    const PackedProjection& one = step.outputs[index];
    const std::int64_t rowBegin =
        std::max<std::int64_t>(0, firstTile - one.firstTile) * kernels::cpu::kRowTile;
    const std::int64_t rowEnd =
        std::min(one.matrix.rows, (lastTile - one.firstTile) * kernels::cpu::kRowTile);
    if (rowBegin >= rowEnd) continue;
    const std::int64_t stride = program_.widthOf(one.out);
    float* out = row(one.out, run.first);
    if (run.panel >= 0 && kernels_.readsQuantized(one.matrix.type)) {
      kernels_.panelMatmul(one.matrix, rowBegin, rowEnd, space.panel(), run.panel, run.tokens, out, stride,
                           one.accumulate);
    } else {
      const std::int64_t together = std::max<std::int64_t>(32, kActivationBytes / step.cols);
      for (std::int64_t first = 0; first < run.tokens; first += together) {
        const std::int64_t at = run.first + first;
        const kernels::cpu::Activations x{space.values(at, step.cols), step.cols,
                                          space.quantized(at, step.cols), space.scales(at, step.cols),
                                          space.sums(at, step.cols)};
        kernels_.matmul(one.matrix, rowBegin, rowEnd, x, std::min(together, run.tokens - first),
                        out + first * stride, stride, one.accumulate);
      }
    }
    if (!adapted_.empty()) addChanges(step, index, rowBegin, rowEnd, inputs.products, run, head);
    for (std::int64_t t = 0; t < run.tokens && one.bias != nullptr; ++t) {
      kernels_.add(out + t * stride + rowBegin, one.bias + rowBegin, rowEnd - rowBegin);
    }
    for (std::int64_t t = 0; t < run.tokens && one.out == Buffer::kLogits && program_.logitSoftcap > 0; ++t) {
      kernels_.softcap(out + t * stride + rowBegin, program_.logitSoftcap, rowEnd - rowBegin);
    }
  }
}

}  // namespace quern::engine::runtime
