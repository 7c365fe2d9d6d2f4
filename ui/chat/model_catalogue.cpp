#include "ui/chat/model_catalogue.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <QPointer>
#include <QThreadPool>
#include <algorithm>

#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/scheduler/engine.h"
#include "ui/bridge/app_settings.h"

namespace quern::ui {

namespace {
namespace fs = std::filesystem;

QString asText(const fs::path& path) { return QString::fromStdString(path.string()); }

}  // namespace

ModelCatalogue::ModelCatalogue(AppSettings& settings, QObject* parent)
    : QObject(parent), settings_(settings) {}

std::vector<ModelChoice> ModelCatalogue::choices(QString* failure) {
  std::vector<ModelChoice> choices;
  auto installed = engine::hub::installedModels();
  if (!installed && failure != nullptr) *failure = QString::fromStdString(installed.error().message());
  if (installed) {
    for (const auto& model : *installed) {
      choices.push_back(
          {QString::fromStdString(model.name), quantization(model.path), model.path, model.sizeBytes, false});
    }
  }
  for (const fs::path& native : settings_.sideLoaded()) {
    const QFileInfo file(asText(native));
    if (!file.isFile()) continue;
    choices.push_back(
        {file.completeBaseName(), quantization(native), native, std::uint64_t(file.size()), true});
  }
  return choices;
}

void ModelCatalogue::remember(const fs::path& path) {
  const auto installed = engine::hub::installedModels();
  if (installed && std::any_of(installed->begin(), installed->end(),
                               [&](const auto& model) { return model.path == path; })) {
    return;
  }
  settings_.addSideLoaded(path);
}

QString ModelCatalogue::quantization(const fs::path& path) {
  const QString key = asText(path);
  const auto known = quantizations_.constFind(key);
  if (known != quantizations_.constEnd()) return *known;
  quantizations_.insert(key, {});
  const QPointer<ModelCatalogue> self(this);
  QThreadPool::globalInstance()->start([self, path, key] {
    auto file = engine::gguf::File::open(path);
    if (!file) return;
    const auto info = engine::scheduler::inspect(**file);
    if (!info) return;
    const QString type = QString::fromStdString(info->quantization);
    QMetaObject::invokeMethod(
        QCoreApplication::instance(),
        [self, key, type] {
          if (!self) return;
          self->quantizations_.insert(key, type);
          Q_EMIT self->quantizationKnown(key, type);
        },
        Qt::QueuedConnection);
  });
  return {};
}

}  // namespace quern::ui
