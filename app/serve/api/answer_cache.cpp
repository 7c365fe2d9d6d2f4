#include "app/serve/api/answer_cache.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "app/serve/api/answer_file.h"

namespace quern::app::serve {
namespace {

using engine::scheduler::Event;
using engine::scheduler::Request;

/// Writes values one behind the other, each text and list with its length, so that no two sets read alike.
class KeyWriter {
 public:
  template <class T>
  void add(const T& value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    key_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void add(const std::string& text) {
    add(text.size());
    key_ += text;
  }
  template <class T>
  void add(const std::vector<T>& list) {
    add(list.size());
    for (const T& one : list) add(one);
  }
  template <class A, class B>
  void add(const std::pair<A, B>& pair) {
    add(pair.first);
    add(pair.second);
  }
  std::string take() { return std::move(key_); }

 private:
  std::string key_;
};

void addSampling(KeyWriter& key, const engine::sampling::Parameters& p) {
  // A parameter that is missing here would let one answer stand for another.
  const auto& [temperature, topK, topP, minP, typicalP, xtcProbability, xtcThreshold, repeatPenalty,
               frequencyPenalty, presencePenalty, penaltyWindow, dryMultiplier, dryBase, dryAllowedLength,
               dryWindow, dryBreakers, mirostat, mirostatTau, mirostatEta, logitBias, seed, randomSeed,
               order] = p;
  const auto all = [&](const auto&... values) { (key.add(values), ...); };
  all(temperature, topK, topP, minP, typicalP, xtcProbability, xtcThreshold, repeatPenalty, frequencyPenalty,
      presencePenalty, penaltyWindow, dryMultiplier, dryBase, dryAllowedLength, dryWindow, dryBreakers,
      mirostat, mirostatTau, mirostatEta, logitBias, order);
  if (!randomSeed) key.add(seed);
}

}  // namespace

std::size_t KeptAnswer::bytes() const {
  std::size_t sum = sizeof(KeptAnswer);
  for (const Event& event : events) {
    sum += sizeof(Event) + event.text.size() + event.tokens.size() * sizeof(std::int32_t);
    for (const auto& all : event.logprobs) sum += sizeof all + all.size() * sizeof all.front();
  }
  return sum;
}

AnswerCache::AnswerCache(std::size_t mostBytes, const std::filesystem::path& file,
                         const std::function<void(const std::string& sentence)>& notice)
    : mostBytes_(mostBytes) {
  if (!isOn() || file.empty()) return;
  auto opened = AnswerFile::open(file, mostBytes, notice);
  if (!opened) {
    if (notice) notice(opened.error().message() + " Answers are kept in memory alone.");
    return;
  }
  file_ = std::move(*opened);
  std::vector<FiledAnswer> filed = file_->takeLoaded();
  for (const FiledAnswer& one : filed) lastId_ = std::max(lastId_, one.id);
  for (FiledAnswer& one : filed) {
    Entry entry;
    entry.key = std::move(one.key);
    entry.answers = std::make_shared<const KeptAnswers>(std::move(one.answers));
    entry.id = one.id;
    add(std::move(entry), true);
  }
}

AnswerCache::~AnswerCache() = default;

std::shared_ptr<const KeptAnswers> AnswerCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(key);
  if (found == known_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  if (file_) file_->touch(found->second->id);
  return found->second->answers;
}

void AnswerCache::keep(const std::string& key, KeptAnswers answers) {
  Entry entry;
  entry.key = key;
  entry.answers = std::make_shared<const KeptAnswers>(std::move(answers));
  const std::lock_guard lock(mutex_);
  entry.id = lastId_ + 1;
  add(std::move(entry), false);
}

void AnswerCache::add(Entry entry, bool isFiled) {
  entry.bytes = 2 * entry.key.size() + sizeof(Entry);
  for (const KeptAnswer& one : *entry.answers) entry.bytes += one.bytes();
  if (entry.bytes > mostBytes_ / 4 || known_.contains(entry.key)) {
    if (isFiled) file_->drop(entry.id);
    return;
  }
  lastId_ = std::max(lastId_, entry.id);
  bytes_ += entry.bytes;
  if (file_ && !isFiled) file_->keep(entry.id, entry.key, entry.answers);
  entries_.push_front(std::move(entry));
  known_[entries_.front().key] = entries_.begin();
  while (bytes_ > mostBytes_) {
    const Entry& oldest = entries_.back();
    if (file_) file_->drop(oldest.id);
    bytes_ -= oldest.bytes;
    known_.erase(oldest.key);
    entries_.pop_back();
  }
}

void AnswerCache::flush() {
  if (file_) file_->flush();
}

std::size_t AnswerCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::optional<std::string> answerKey(const std::string& model, const std::string& caller,
                                     const std::string& constraint, const Request& request,
                                     const std::vector<std::vector<std::int32_t>>& prompts,
                                     std::int32_t answers) {
  if (request.sampling.temperature > 0 && request.sampling.randomSeed) return std::nullopt;
  KeyWriter key;
  key.add(model);
  key.add(caller);
  key.add(constraint);
  key.add(prompts);
  key.add(answers);
  addSampling(key, request.sampling);
  key.add(request.maxTokens);
  key.add(request.stop);
  key.add(request.ignoreEnd);
  key.add(request.overflow);
  key.add(request.keepTokens);
  key.add(request.adapters.size());
  for (const auto& one : request.adapters) {
    key.add(one.path.string());
    key.add(one.scale);
  }
  key.add(request.emitSpecial);
  key.add(request.topLogprobs);
  key.add(request.reasoning.tokens);
  key.add(request.reasoning.begin);
  key.add(request.reasoning.end);
  key.add(request.reasoning.isOpen);
  key.add(request.reasoning.closing);
  return key.take();
}

void keepEvent(KeptAnswer& kept, const Event& event) {
  if (event.kind == Event::Kind::kAnswerFinished || event.kind == Event::Kind::kFinished) {
    kept.events.push_back(event);
    return;
  }
  if (event.kind != Event::Kind::kTokens) return;
  const auto same = std::find_if(kept.events.begin(), kept.events.end(), [&](const Event& one) {
    return one.kind == Event::Kind::kTokens && one.answer == event.answer;
  });
  if (same == kept.events.end()) {
    kept.events.push_back(event);
    return;
  }
  same->text += event.text;
  same->tokens.insert(same->tokens.end(), event.tokens.begin(), event.tokens.end());
  same->logprobs.insert(same->logprobs.end(), event.logprobs.begin(), event.logprobs.end());
}

}  // namespace quern::app::serve
