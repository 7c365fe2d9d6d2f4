#include "ui/chat/model_catalogue.h"

#include <QCoreApplication>
#include <QFileInfo>
#include <QJsonArray>
#include <QJsonDocument>
#include <QPointer>
#include <QThreadPool>
#include <algorithm>

#include "engine/gguf/file.h"
#include "engine/hub/library.h"
#include "engine/scheduler/engine.h"

namespace quern::ui {

namespace {
namespace fs = std::filesystem;

constexpr char kSideLoadedKey[] = "window.sideLoaded";
constexpr int kMaxSideLoaded = 12;

QString asText(const fs::path& path) { return QString::fromStdString(path.string()); }

}  // namespace

ModelCatalogue::ModelCatalogue(engine::store::Store& store, QObject* parent)
    : QObject(parent), store_(store) {}

QStringList ModelCatalogue::sideLoaded() {
  const auto setting = store_.setting(kSideLoadedKey);
  if (!setting || !*setting) return {};
  QStringList paths;
  const auto array = QJsonDocument::fromJson(QByteArray::fromStdString(**setting)).array();
  for (const auto& value : array) paths.append(value.toString());
  return paths;
}

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
  for (const QString& path : sideLoaded()) {
    const QFileInfo file(path);
    if (!file.isFile()) continue;
    const fs::path native = path.toStdString();
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
  QStringList paths = sideLoaded();
  paths.removeAll(asText(path));
  paths.prepend(asText(path));
  while (paths.size() > kMaxSideLoaded) paths.removeLast();
  store_.setSetting(
      kSideLoadedKey,
      QJsonDocument(QJsonArray::fromStringList(paths)).toJson(QJsonDocument::Compact).toStdString());
}

void ModelCatalogue::forget(const fs::path& path) {
  QStringList paths = sideLoaded();
  paths.removeAll(asText(path));
  store_.setSetting(
      kSideLoadedKey,
      QJsonDocument(QJsonArray::fromStringList(paths)).toJson(QJsonDocument::Compact).toStdString());
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
