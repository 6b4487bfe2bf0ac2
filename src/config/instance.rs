//! How large a container is, and what memory and disk of that size cost.
//!
//! Sizes and prices are those of the platform as of 2026: <https://developers.cloudflare.com/containers/pricing/>. Kept in whole numbers,
//! so that a configuration that is written and read again is the same.

/// How large the containers of a pool are. The platform is told by `wrangler.jsonc`; this is for what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstanceType {
    /// What wrangler takes where nothing is said.
    #[default]
    Lite,
    /// A quarter of a vCPU, 1 GiB.
    Basic,
    /// Half a vCPU, 4 GiB.
    Standard1,
    /// 1 vCPU, 6 GiB.
    Standard2,
    /// 2 vCPU, 8 GiB.
    Standard3,
    /// 4 vCPU, 12 GiB.
    Standard4,
    /// Another size.
    Custom(Size),
}

/// What a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Processors, in millionths of a vCPU.
    pub micro_vcpus: u64,
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Disk, in MB of 1,000,000 bytes.
    pub disk_mb: u64,
}

impl InstanceType {
    /// The types that have a name.
    pub const NAMED: [Self; 6] =
        [Self::Lite, Self::Basic, Self::Standard1, Self::Standard2, Self::Standard3, Self::Standard4];

    /// The platform's name, or `custom`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lite => "lite",
            Self::Basic => "basic",
            Self::Standard1 => "standard-1",
            Self::Standard2 => "standard-2",
            Self::Standard3 => "standard-3",
            Self::Standard4 => "standard-4",
            Self::Custom(_) => "custom",
        }
    }

    /// What a container of this type has.
    pub const fn size(self) -> Size {
        let (micro_vcpus, memory_mib, disk_mb) = match self {
            Self::Lite => (62_500, 256, 2_000),
            Self::Basic => (250_000, 1_024, 4_000),
            Self::Standard1 => (500_000, 4 * 1_024, 8_000),
            Self::Standard2 => (1_000_000, 6 * 1_024, 12_000),
            Self::Standard3 => (2_000_000, 8 * 1_024, 16_000),
            Self::Standard4 => (4_000_000, 12 * 1_024, 20_000),
            Self::Custom(size) => return size,
        };
        Size { micro_vcpus, memory_mib, disk_mb }
    }
}

/// What the platform takes, in millionths of a millionth of a US dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// For a GiB of memory, each second.
    pub memory_gib_second: u64,
    /// For a GB of disk, each second.
    pub disk_gb_second: u64,
    /// For a vCPU that works, each second. How much one works is not known here.
    pub vcpu_second: u64,
}

impl Default for Prices {
    fn default() -> Self {
        Self { memory_gib_second: 2_500_000, disk_gb_second: 70_000, vcpu_second: 20_000_000 }
    }
}

impl Prices {
    /// How many of the unit make a US dollar.
    pub(super) const PER_DOLLAR: f64 = 1e12;

    /// What memory and disk of a container cost in a second, in US dollars.
    pub fn of_second(&self, instance_type: InstanceType) -> f64 {
        let Size { micro_vcpus: _, memory_mib, disk_mb } = instance_type.size();
        let memory = memory_mib as f64 / 1_024.0 * self.memory_gib_second as f64;
        let disk = disk_mb as f64 / 1_000.0 * self.disk_gb_second as f64;
        (memory + disk) / Self::PER_DOLLAR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_container_costs_what_the_platform_says() {
        let month = 30.0 * 24.0 * 3_600.0;
        let dollars = |instance_type| (Prices::default().of_second(instance_type) * month).round();
        for (instance_type, expected) in [
            (InstanceType::Lite, 2.0),
            (InstanceType::Basic, 7.0),
            (InstanceType::Standard1, 27.0),
            (InstanceType::Standard4, 81.0),
        ] {
            assert_eq!(dollars(instance_type), expected, "{instance_type:?}");
        }
    }
}
