#include "ui/bridge/model_service.h"

#include <QElapsedTimer>
#include <QRegularExpression>
#include <QThread>
#include <atomic>
#include <utility>

#include "ui/bridge/worker.h"

namespace quern::ui {

using engine::base::Error;
using engine::base::ErrorCode;
using engine::scheduler::Engine;
using engine::scheduler::LoadOptions;

namespace {

using Loaded = engine::base::Result<std::shared_ptr<Engine>>;

constexpr qint64 kProgressEveryMs = 33;
constexpr qint64 kLongestFarewellMs = 5000;
constexpr unsigned long kFarewellStepMs = 2;

/// "SmolLM2-135M-Instruct.Q4_1.gguf" → "SmolLM2 135M Instruct": the quantization is shown beside it.
QString forPeople(const std::filesystem::path& path) {
  static const QRegularExpression quantization(
      QStringLiteral("[-._](I?Q[0-9][0-9A-Z_]*|BF16|F16|F32|MXFP4)$"),
      QRegularExpression::CaseInsensitiveOption);
  QString text = QString::fromStdString(path.stem().string()).remove(quantization);
  return text.replace(QLatin1Char('_'), QLatin1Char(' '))
      .replace(QLatin1Char('-'), QLatin1Char(' '))
      .simplified();
}

/// One load; shared with the worker thread.
struct Ticket {
  std::atomic<bool> cancelled{false};
};

}  // namespace

class ModelService::Private {
 public:
  Loader loader;
  Renderer renderer;
  State state = State::kNone;
  double progress = 0;
  std::filesystem::path path;
  QString name;
  std::optional<Error> error;
  std::shared_ptr<Engine> engine;
  std::shared_ptr<Ticket> ticket;  ///< of the load that counts; older ones are cancelled
  std::unique_ptr<Worker> worker = std::make_unique<Worker>();

  /// Lets go of an engine where waiting for its thread disturbs nobody.
  void bury(std::shared_ptr<Engine> gone) {
    if (gone) worker->post(Worker::Priority::kUrgent, [gone = std::move(gone)]() mutable { gone.reset(); });
  }

  void cancel() {
    if (ticket) ticket->cancelled = true;
    ticket.reset();
  }
};

ModelService::ModelService(Loader loader, Renderer renderer, QObject* parent)
    : QObject(parent), d_(std::make_unique<Private>()) {
  d_->loader = std::move(loader);
  d_->renderer = std::move(renderer);
}

ModelService::~ModelService() {
  d_->cancel();
  d_->worker.reset();
}

void ModelService::load(const std::filesystem::path& path, const LoadOptions& options) {
  d_->cancel();
  auto ticket = std::make_shared<Ticket>();
  std::shared_ptr<Engine> old = std::exchange(d_->engine, nullptr);
  d_->ticket = ticket;
  d_->state = State::kLoading;
  d_->progress = 0;
  d_->path = path;
  d_->name = forPeople(path);
  d_->error.reset();
  Q_EMIT stateChanged();  // whoever holds the old engine lets go of it here, before its memory is needed
  const std::weak_ptr<Engine> gone = old;
  d_->bury(std::move(old));

  d_->worker->post(Worker::Priority::kUrgent, [this, ticket, path, options, gone] {
    // Who shares the engine lets go of it soon, too; its memory is needed.
    QElapsedTimer waited;
    waited.start();
    while (!gone.expired() && !ticket->cancelled && waited.elapsed() < kLongestFarewellMs)
      QThread::msleep(kFarewellStepMs);
    if (ticket->cancelled) return;
    QElapsedTimer sinceReport;
    sinceReport.start();
    const auto progress = [&](double fraction) {
      if (sinceReport.elapsed() >= kProgressEveryMs || fraction >= 1) {
        sinceReport.restart();
        QMetaObject::invokeMethod(
            this,
            [this, ticket, fraction] {
              if (d_->ticket != ticket) return;
              d_->progress = fraction;
              Q_EMIT progressChanged(fraction);
            },
            Qt::QueuedConnection);
      }
      return !ticket->cancelled;
    };
    auto loaded = std::make_shared<Loaded>(d_->loader(path, options, progress));
    if (ticket->cancelled) return;  // and the engine, if there is one, goes on this thread
    QMetaObject::invokeMethod(
        this,
        [this, ticket, loaded] {
          std::shared_ptr<Engine> made = *loaded ? **loaded : nullptr;
          if (d_->ticket != ticket) {
            if (made) *loaded = Error(ErrorCode::kCancelled, "cancelled");
            return d_->bury(std::move(made));
          }
          d_->ticket.reset();
          if (made) {
            // The name stays the file's: it is what `quern list` shows and people type. "general.name" is
            // often a training run's.
            d_->engine = std::move(made);
            *loaded = Error(ErrorCode::kCancelled, "taken");
            d_->progress = 1;
            d_->state = State::kReady;
          } else {
            d_->error = *loaded ? Error(ErrorCode::kInternal, "The model could not be loaded.")
                                : std::move(*loaded).error();
            d_->state = State::kFailed;
          }
          Q_EMIT stateChanged();
        },
        Qt::QueuedConnection);
  });
}

void ModelService::cancelLoad() {
  if (d_->state != State::kLoading) return;
  d_->cancel();
  d_->state = State::kNone;
  d_->path.clear();
  d_->name.clear();
  Q_EMIT stateChanged();
}

void ModelService::unload() {
  if (d_->state == State::kLoading) return cancelLoad();
  if (d_->state == State::kNone) return;
  std::shared_ptr<Engine> old = std::exchange(d_->engine, nullptr);
  d_->state = State::kNone;
  d_->path.clear();
  d_->name.clear();
  d_->error.reset();
  Q_EMIT stateChanged();
  d_->bury(std::move(old));
}

ModelService::State ModelService::state() const { return d_->state; }
double ModelService::progress() const { return d_->progress; }
std::filesystem::path ModelService::path() const { return d_->path; }
QString ModelService::modelName() const { return d_->name; }
std::optional<Error> ModelService::error() const { return d_->error; }
std::shared_ptr<Engine> ModelService::engine() const { return d_->engine; }
const ModelService::Renderer& ModelService::renderer() const { return d_->renderer; }

}  // namespace quern::ui
