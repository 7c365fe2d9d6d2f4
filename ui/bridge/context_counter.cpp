#include "ui/bridge/context_counter.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "engine/tokenizer/tokenizer.h"
#include "ui/bridge/answer_text.h"

namespace quern::ui {

using engine::scheduler::Engine;
using engine::store::Id;

namespace {

// Role markers and line ends that templates put around a message: 4 (ChatML) to 6 (Llama 3).
constexpr int kMarkerTokens = 5;
// Without a tokenizer: English text has about 4 bytes a token.
constexpr int kBytesPerToken = 4;
// Messages counted between two looks at more urgent work.
constexpr std::size_t kSlice = 64;

int tokensOf(const Engine& engine, const std::string& text) {
  const auto tokenizer = engine.tokenizer();
  if (!tokenizer) return static_cast<int>(text.size()) / kBytesPerToken + kMarkerTokens;
  return static_cast<int>(tokenizer->encode(text, {.parseSpecial = false}).size()) + kMarkerTokens;
}

}  // namespace

struct ContextCounter::Round {
  std::atomic<bool> over{false};
};

ContextCounter::ContextCounter(engine::store::Store& store, Worker& worker, QObject* parent)
    : QObject(parent), store_(store), worker_(worker), round_(std::make_shared<Round>()) {}

ContextCounter::~ContextCounter() { round_->over = true; }

void ContextCounter::setEngine(std::shared_ptr<Engine> engine) {
  if (engine_.lock() == engine) return;
  round_->over = true;
  round_ = std::make_shared<Round>();
  counting_ = false;
  engine_ = engine;
  counts_.clear();
  update();
}

void ContextCounter::setBranch(std::vector<Entry> entries, const QString& systemPrompt) {
  entries_ = std::move(entries);
  systemPrompt_ = systemPrompt;
  update();
}

void ContextCounter::update() {
  int used = 0;
  std::vector<Id> missing;
  if (!engine_.expired()) {
    bool exact = false;
    for (auto entry = entries_.rbegin(); entry != entries_.rend() && !exact; ++entry) {
      if (entry->exactTotal > 0) {
        used += entry->exactTotal;
        exact = true;
        continue;
      }
      const auto count = counts_.constFind(entry->id);
      if (count != counts_.constEnd() && count->characters == entry->characters) {
        used += count->tokens;
      } else {
        used += static_cast<int>(entry->characters) / kBytesPerToken + kMarkerTokens;
        if (missing.size() < kSlice) missing.push_back(entry->id);
      }
    }
    // A prompt is short, and changes with every key while it is typed: an estimate does.
    if (!exact && !systemPrompt_.isEmpty()) {
      used += static_cast<int>(systemPrompt_.size()) / kBytesPerToken + kMarkerTokens;
    }
  }
  if (!missing.empty() && !counting_) request(std::move(missing));
  if (used == used_) return;
  used_ = used;
  Q_EMIT changed();
}

void ContextCounter::request(std::vector<Id> ids) {
  counting_ = true;
  std::vector<std::pair<Id, qsizetype>> asked;
  for (const Id id : ids) {
    const auto entry =
        std::find_if(entries_.begin(), entries_.end(), [id](const Entry& e) { return e.id == id; });
    asked.emplace_back(id, entry->characters);
  }
  worker_.post(Worker::Priority::kIdle, [this, round = round_, weak = engine_, asked, store = &store_] {
    QHash<Id, Count> counts;
    for (const auto& [id, characters] : asked) {
      const std::shared_ptr<Engine> engine = weak.lock();
      if (!engine || round->over) return;
      const auto message = store->message(id);
      const int tokens = message && *message
                             ? tokensOf(*engine, promptText((*message)->content, (*message)->attachmentsJson))
                             : 0;
      counts.insert(id, {characters, tokens});
    }
    QMetaObject::invokeMethod(
        this,
        [this, round, counts] {
          if (round != round_) return;
          counting_ = false;
          counts_.insert(counts);
          update();
        },
        Qt::QueuedConnection);
  });
}

}  // namespace quern::ui
