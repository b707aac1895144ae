#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "hooks/nvidia_plan.hpp"

namespace mlctr::hooks {
namespace {

// Names by which programs ask beside sonames, where what they lead to is there.
struct ExtraLink {
  const char* link;
  const char* target;  // {}: the driver's version
};
constexpr std::array<ExtraLink, 4> k_extra_links{{{"libcuda.so", "libcuda.so.1"},
                                                  {"libnvidia-ml.so", "libnvidia-ml.so.1"},
                                                  {"libnvidia-opticalflow.so", "libnvidia-opticalflow.so.1"},
                                                  {"libGLX_indirect.so.0", "libGLX_nvidia.so.{}"}}};

std::string directory_for(runtime::LoaderArchitecture architecture) {
  return fmt::format("{}/{}", k_driver_directory,
                     architecture == runtime::LoaderArchitecture::i386 ? "lib32" : "lib64");
}

bool is_i386(const DriverLibrary& library) {
  return library.architecture == runtime::LoaderArchitecture::i386;
}

// Where one library goes in the container, and by what names it is found there.
class Placement {
 public:
  Placement(Edits& edits, DriverLayout layout) : edits_(edits), layout_(layout) {}

  void add(const DriverLibrary& library) {
    const std::string directory = directory_of(library);
    edits_.mounts.push_back(bind_read_only(library.source, fmt::format("{}/{}", directory, library.name)));
    if (!library.soname.empty() && library.soname != library.name) {
      add_name(library, directory, library.soname, library.name);
    }
    tell_loader(library, directory, library.soname.empty() ? library.name : library.soname);
  }

  void add_extra(const DriverLibrary& library, const std::string& link, const std::string& target) {
    const std::string directory = directory_of(library);
    add_name(library, directory, link, target);
    tell_loader(library, directory, link);
  }

  void add_gbm(const DriverLibrary& allocator) {
    if (layout_ == DriverLayout::own) {
      edits_.links.push_back(
          {fmt::format("{}/gbm/nvidia-drm_gbm.so", directory_of(allocator)), "../libnvidia-allocator.so.1", ""});
    }
  }

 private:
  std::string directory_of(const DriverLibrary& library) const {
    const std::string base = layout_ == DriverLayout::own ? directory_for(library.architecture) : library.directory.string();
    return library.subdirectory.empty() ? base : fmt::format("{}/{}", base, library.subdirectory);
  }

  // In the image's own directories no link is made: the file is there twice.
  void add_name(const DriverLibrary& library, const std::string& directory, const std::string& name,
                const std::string& target) {
    const std::string path = fmt::format("{}/{}", directory, name);
    if (layout_ == DriverLayout::own) {
      edits_.links.push_back({path, target, ""});
    } else {
      edits_.mounts.push_back(bind_read_only(library.source, path));
    }
  }

  void tell_loader(const DriverLibrary& library, const std::string& directory, const std::string& name) {
    edits_.libraries.push_back({name, fmt::format("{}/{}", directory, name), library.architecture, ""});
  }

  Edits& edits_;
  DriverLayout layout_;
};

const DriverLibrary* find_named(const std::vector<const DriverLibrary*>& libraries, std::string_view name, bool i386) {
  const auto found = std::ranges::find_if(libraries, [&](const DriverLibrary* library) {
    return (library->soname == name || library->name == name) && is_i386(*library) == i386;
  });
  return found == libraries.end() ? nullptr : *found;
}

}  // namespace

void add_driver_libraries(Edits& edits, const NvidiaDriver& driver, const HookSettings& settings,
                          NvidiaCapabilities capabilities) {
  std::vector<const DriverLibrary*> wanted;
  for (const DriverLibrary& library : driver.libraries) {
    const bool is_allowed = !is_i386(library) || (capabilities & k_compat32) != 0;
    if (is_allowed && (library.wanted_by & capabilities) != 0) wanted.push_back(&library);
  }
  Placement placement(edits, settings.driver_lib_layout);
  for (const DriverLibrary* library : wanted) placement.add(*library);
  for (const bool i386 : {false, true}) {
    for (const ExtraLink& extra : k_extra_links) {
      const std::string target = fmt::format(fmt::runtime(extra.target), driver.version.text());
      if (const auto* library = find_named(wanted, target, i386)) placement.add_extra(*library, extra.link, target);
    }
    const auto* allocator = find_named(wanted, "libnvidia-allocator.so.1", i386);
    if (allocator != nullptr && (capabilities & k_graphics) != 0) placement.add_gbm(*allocator);
  }
}

void add_driver_programs(Edits& edits, const NvidiaDriver& driver, const HookRequest& request,
                         NvidiaCapabilities capabilities) {
  const std::string directory = fmt::format("{}/bin", k_driver_directory);
  const auto programs = find_nvidia_programs(driver, request.settings, request.job.value("PATH"), capabilities);
  for (const DriverProgram& program : programs) {
    edits.mounts.push_back(bind_read_only(program.source, fmt::format("{}/{}", directory, program.name)));
    // Over one of the image's, which is of another driver: no file is made for it.
    runtime::Mount over = bind_read_only(program.source, fmt::format("/usr/bin/{}", program.name));
    over.if_no_target = runtime::IfNoTarget::fail;
    over.if_missing = runtime::IfMissing::skip;
    edits.mounts.push_back(std::move(over));
  }
  if (!programs.empty()) edits.programs.push_back({directory, ""});
}

void set_forward_compat(Edits& edits, const DriverVersion& version, const HookSettings& settings) {
  if (settings.forward_compat == ForwardCompat::never) return;
  using enum runtime::ForwardCompat::When;
  edits.forward_compat = {.when = settings.forward_compat == ForwardCompat::always ? always : automatic,
                          .driver_major = version.major(),
                          .driver_version = version.text()};
}

}  // namespace mlctr::hooks
