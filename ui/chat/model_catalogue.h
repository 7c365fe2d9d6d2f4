// The models that the picker offers: what is installed, and files that were opened where they lie.
#pragma once

#include <QHash>
#include <QObject>
#include <QString>
#include <filesystem>
#include <vector>

namespace quern::ui {

class AppSettings;

struct ModelChoice {
  QString name;          ///< "smollm2", or a side-loaded file's stem
  QString quantization;  ///< "Q4_1"; empty until the file was looked at
  std::filesystem::path path;
  std::uint64_t sizeBytes = 0;
  bool sideLoaded = false;
};

/// UI thread; files are looked into on a pool thread.
class ModelCatalogue : public QObject {
  Q_OBJECT
 public:
  explicit ModelCatalogue(AppSettings& settings, QObject* parent = nullptr);
  /// Reads the models folder anew. Error text, if the folder cannot be read, in `failure`.
  std::vector<ModelChoice> choices(QString* failure = nullptr);
  /// Remembers a file outside the models folder.
  void remember(const std::filesystem::path& path);
  /// What is known of a file without loading it; empty until quantizationKnown() told it.
  QString quantization(const std::filesystem::path& path);

 Q_SIGNALS:
  void quantizationKnown(const QString& path, const QString& quantization);

 private:
  AppSettings& settings_;
  QHash<QString, QString> quantizations_;
};

}  // namespace quern::ui
