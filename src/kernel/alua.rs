//! The target port groups of a device, as REPORT TARGET PORT GROUPS will want them, and their states,
//! as SET TARGET PORT GROUPS changes them.
//!
//! LIO keeps and enforces the states; a passthrough backstore only reports them. Each group is a
//! directory below the device's `alua/` (`target_core_alua_tg_pt_gp_attrs`).

use crate::AttributeError;
use crate::attribute::Directory;
use crate::initiators;

/// Asymmetric access state of a group; the discriminants are T10's (SPC-5, ASYMMETRIC ACCESS STATE
/// field of REPORT TARGET PORT GROUPS).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessState {
    /// Active/optimized.
    ActiveOptimized = 0x0,
    /// Active/non-optimized.
    ActiveNonOptimized = 0x1,
    /// Standby.
    Standby = 0x2,
    /// Unavailable.
    Unavailable = 0x3,
    /// Logical block dependent.
    LbaDependent = 0x4,
    /// Offline.
    Offline = 0xe,
    /// Transitioning between states.
    Transitioning = 0xf,
}

impl AccessState {
    /// T10's number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// Which states exist, and the attribute that says whether a group can be in them.
const STATES: [(AccessState, &str); 7] = [
    (AccessState::ActiveOptimized, "alua_support_active_optimized"),
    (AccessState::ActiveNonOptimized, "alua_support_active_nonoptimized"),
    (AccessState::Standby, "alua_support_standby"),
    (AccessState::Unavailable, "alua_support_unavailable"),
    (AccessState::LbaDependent, "alua_support_lba_dependent"),
    (AccessState::Offline, "alua_support_offline"),
    (AccessState::Transitioning, "alua_support_transitioning"),
];

/// Who may change the state of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessType {
    /// Nobody.
    None,
    /// The target.
    Implicit,
    /// The initiator, with SET TARGET PORT GROUPS.
    Explicit,
    /// Both.
    ImplicitAndExplicit,
}

/// What changed the state last; the discriminants are T10's (SPC-5, STATUS CODE field).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessStatus {
    /// Nothing to report.
    None = 0,
    /// SET TARGET PORT GROUPS.
    AlteredByStpg = 1,
    /// The target itself.
    AlteredByTarget = 2,
}

impl AccessStatus {
    /// T10's number.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// One target port group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetPortGroup {
    /// The name of its directory, such as `default_tg_pt_gp`.
    pub name: String,
    /// TARGET PORT GROUP.
    pub id: u16,
    /// The state it is in.
    pub state: AccessState,
    /// The states it can be in.
    pub supported: Vec<AccessState>,
    /// Who may change the state.
    pub access_type: AccessType,
    /// What changed it last.
    pub status: AccessStatus,
    /// PREF.
    pub preferred: bool,
    /// RELATIVE TARGET PORT IDENTIFIER of each port in the group, ascending.
    pub ports: Vec<u16>,
}

/// All groups below `alua`, with the ports found below `target`. What disappears while it is read
/// is left out, and so is a group that has no id yet: it is still being made.
pub(crate) fn target_port_groups(
    alua: &Directory,
    target: &Directory,
) -> Result<Vec<TargetPortGroup>, AttributeError> {
    let mut groups = Vec::new();
    for name in alua.children()? {
        let directory = alua.child(&name);
        match group(&directory, name.to_string_lossy().into_owned(), target) {
            Ok(Some(group)) => groups.push(group),
            Ok(None) | Err(AttributeError::Gone(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(groups)
}

/// Gives the group with the id `id` another state, and says that an initiator wanted it.
pub(crate) fn set_access_state(
    alua: &Directory,
    id: u16,
    state: AccessState,
) -> Result<(), AttributeError> {
    for name in alua.children()? {
        let group = alua.child(&name);
        if group.read("tg_pt_gp_id")? == id.to_string() {
            group.write("alua_access_state", state.code())?;
            // What is written to configfs counts as the target's own doing.
            return group.write("alua_access_status", AccessStatus::AlteredByStpg.code());
        }
    }
    Err(AttributeError::Gone(alua.path().to_owned()))
}

fn group(
    directory: &Directory,
    name: String,
    target: &Directory,
) -> Result<Option<TargetPortGroup>, AttributeError> {
    // The kernel prints nothing at all for a group whose id was never set.
    if directory.read("tg_pt_gp_id")?.is_empty() {
        return Ok(None);
    }
    Ok(Some(TargetPortGroup {
        name,
        id: directory.read_value("tg_pt_gp_id")?,
        state: state(directory)?,
        supported: supported(directory)?,
        access_type: access_type(directory)?,
        status: status(directory)?,
        preferred: directory.read_flag("preferred")?,
        ports: ports(directory, target)?,
    }))
}

fn state(group: &Directory) -> Result<AccessState, AttributeError> {
    const ALUA_ACCESS_STATE: &str = "alua_access_state";
    let code: u8 = group.read_value(ALUA_ACCESS_STATE)?;
    STATES
        .into_iter()
        .map(|(state, _)| state)
        .find(|state| state.code() == code)
        .ok_or_else(|| group.malformed(ALUA_ACCESS_STATE, &code.to_string()))
}

fn supported(group: &Directory) -> Result<Vec<AccessState>, AttributeError> {
    let mut supported = Vec::new();
    for (state, attribute) in STATES {
        if group.read_flag(attribute)? {
            supported.push(state);
        }
    }
    Ok(supported)
}

fn access_type(group: &Directory) -> Result<AccessType, AttributeError> {
    const ALUA_ACCESS_TYPE: &str = "alua_access_type";
    match group.read(ALUA_ACCESS_TYPE)?.as_str() {
        "None" => Ok(AccessType::None),
        "Implicit" => Ok(AccessType::Implicit),
        "Explicit" => Ok(AccessType::Explicit),
        "Implicit and Explicit" => Ok(AccessType::ImplicitAndExplicit),
        other => Err(group.malformed(ALUA_ACCESS_TYPE, other)),
    }
}

fn status(group: &Directory) -> Result<AccessStatus, AttributeError> {
    const ALUA_ACCESS_STATUS: &str = "alua_access_status";
    match group.read(ALUA_ACCESS_STATUS)?.as_str() {
        "None" => Ok(AccessStatus::None),
        "Altered by Explicit STPG" => Ok(AccessStatus::AlteredByStpg),
        "Altered by Implicit ALUA" => Ok(AccessStatus::AlteredByTarget),
        other => Err(group.malformed(ALUA_ACCESS_STATUS, other)),
    }
}

fn ports(group: &Directory, target: &Directory) -> Result<Vec<u16>, AttributeError> {
    let mut ports = Vec::new();
    for lun in luns(group, target)? {
        match lun.read_value("statistics/scsi_port/indx") {
            Ok(port) => ports.push(port),
            Err(AttributeError::Gone(_)) => {}
            Err(error) => return Err(error),
        }
    }
    // A port that reaches the device under two LUNs is still one port.
    ports.sort_unstable();
    ports.dedup();
    Ok(ports)
}

/// The directories of the LUNs that lead to the device through a group.
fn luns(group: &Directory, target: &Directory) -> Result<Vec<Directory>, AttributeError> {
    const MEMBERS: &str = "members";
    let members = group.read(MEMBERS)?;
    // `target_tg_pt_gp_members_show` copies the terminating NUL of every line along with it.
    members
        .split(['\n', '\0'])
        .filter(|member| !member.is_empty())
        .map(|member| lun_of(member, target).ok_or_else(|| group.malformed(MEMBERS, member)))
        .collect()
}

/// How many initiators may use the device, through all LUNs that lead to it.
pub(crate) fn initiators(alua: &Directory, target: &Directory) -> Result<usize, AttributeError> {
    let mut count = 0;
    for name in alua.children()? {
        for lun in luns(&alua.child(&name), target)? {
            count += initiators::of_lun(&lun)?;
        }
    }
    Ok(count)
}

/// The directory of a member, `<fabric>/<wwn>/tpgt_<tag>/lun_<n>`. The fabric calls itself so; only
/// iSCSI's directory is spelt otherwise.
fn lun_of(member: &str, target: &Directory) -> Option<Directory> {
    let mut parts = member.splitn(4, '/');
    let fabric = match parts.next()? {
        "iSCSI" => "iscsi",
        fabric => fabric,
    };
    let (wwn, tpgt, lun) = (parts.next()?, parts.next()?, parts.next()?);
    Some(target.child(fabric).child(wwn).child(tpgt).child("lun").child(lun))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn add_group(alua: &Path, name: &str, attributes: &[(&str, &str)]) {
        let directory = alua.join(name);
        fs::create_dir_all(&directory).unwrap();
        for (_, attribute) in STATES {
            fs::write(directory.join(attribute), "0\n").unwrap();
        }
        for (attribute, text) in [
            ("tg_pt_gp_id", "0\n"),
            ("alua_access_state", "0\n"),
            ("alua_access_status", "None\n"),
            ("alua_access_type", "Implicit\n"),
            ("preferred", "0\n"),
            ("members", ""),
        ]
        .iter()
        .chain(attributes)
        {
            fs::write(directory.join(attribute), text).unwrap();
        }
    }

    fn add_lun(target: &Path, lun: &str, port: &str) {
        let port_directory = target.join(lun).join("statistics/scsi_port");
        fs::create_dir_all(&port_directory).unwrap();
        fs::write(port_directory.join("indx"), port).unwrap();
    }

    fn groups_of(root: &Path) -> Result<Vec<TargetPortGroup>, AttributeError> {
        target_port_groups(&Directory::new(root.join("alua")), &Directory::new(root.join("target")))
    }

    #[test]
    fn a_group_names_the_ports_that_lead_to_the_device() {
        let root = tempfile::tempdir().unwrap();
        let (alua, target) = (root.path().join("alua"), root.path().join("target"));
        add_lun(&target, "iscsi/iqn.2003-01.x:t/tpgt_1/lun/lun_0", "3\n");
        add_lun(&target, "loopback/naa.5001/tpgt_1/lun/lun_5", "1\n");
        add_lun(&target, "loopback/naa.5001/tpgt_1/lun/lun_6", "1\n");
        add_group(
            &alua,
            "default_tg_pt_gp",
            &[
                ("alua_access_state", "1\n"),
                ("alua_support_active_optimized", "1\n"),
                ("alua_support_transitioning", "1\n"),
                ("preferred", "1\n"),
                (
                    "members",
                    "iSCSI/iqn.2003-01.x:t/tpgt_1/lun_0\n\0loopback/naa.5001/tpgt_1/lun_5\n\0\
                     loopback/naa.5001/tpgt_1/lun_6\n\0loopback/naa.gone/tpgt_1/lun_0\n\0",
                ),
            ],
        );
        add_group(&alua, "half_made", &[("tg_pt_gp_id", "")]);
        assert_eq!(
            groups_of(root.path()).unwrap(),
            [TargetPortGroup {
                name: "default_tg_pt_gp".to_owned(),
                id: 0,
                state: AccessState::ActiveNonOptimized,
                supported: vec![AccessState::ActiveOptimized, AccessState::Transitioning],
                access_type: AccessType::Implicit,
                status: AccessStatus::None,
                preferred: true,
                ports: vec![1, 3],
            }]
        );
    }

    #[test]
    fn initiators_are_counted_through_every_lun() {
        let root = tempfile::tempdir().unwrap();
        let (alua, target) = (root.path().join("alua"), root.path().join("target"));
        add_lun(&target, "iscsi/iqn.2003-01.x:t/tpgt_1/lun/lun_0", "3\n");
        add_lun(&target, "loopback/naa.5001/tpgt_1/lun/lun_5", "1\n");
        let sessions = target.join("iscsi/iqn.2003-01.x:t/tpgt_1/dynamic_sessions");
        fs::write(sessions, "iqn.x:a\niqn.x:b\n").unwrap();
        let members = "iSCSI/iqn.2003-01.x:t/tpgt_1/lun_0\n\0loopback/naa.5001/tpgt_1/lun_5\n\0";
        add_group(&alua, "default_tg_pt_gp", &[("members", members)]);
        let count = initiators(&Directory::new(alua), &Directory::new(target)).unwrap();
        assert_eq!(count, 3);
    }

    #[test]
    fn a_state_is_set_in_its_own_group() {
        let root = tempfile::tempdir().unwrap();
        let alua = root.path().join("alua");
        add_group(&alua, "default_tg_pt_gp", &[]);
        add_group(&alua, "other", &[("tg_pt_gp_id", "16\n")]);
        let directory = Directory::new(alua.clone());
        set_access_state(&directory, 16, AccessState::Standby).unwrap();
        let text = |file: &str| fs::read_to_string(alua.join(file)).unwrap();
        assert_eq!(text("other/alua_access_state"), "2");
        assert_eq!(text("other/alua_access_status"), "1");
        assert_eq!(text("default_tg_pt_gp/alua_access_state"), "0\n");
        let none = set_access_state(&directory, 3, AccessState::Standby);
        assert!(matches!(none, Err(AttributeError::Gone(_))));
    }

    #[test]
    fn words_the_kernel_does_not_use_are_refused() {
        for attribute in
            [("alua_access_state", "5\n"), ("alua_access_type", "Both\n"), ("members", "iSCSI/x\n")]
        {
            let root = tempfile::tempdir().unwrap();
            add_group(&root.path().join("alua"), "g", &[attribute]);
            assert!(matches!(groups_of(root.path()), Err(AttributeError::Malformed { .. })));
        }
    }

    #[test]
    fn every_word_of_the_kernel_is_understood() {
        for (text, expected) in [
            ("None\n", AccessType::None),
            ("Explicit\n", AccessType::Explicit),
            ("Implicit and Explicit\n", AccessType::ImplicitAndExplicit),
        ] {
            let root = tempfile::tempdir().unwrap();
            add_group(&root.path().join("alua"), "g", &[("alua_access_type", text)]);
            assert_eq!(groups_of(root.path()).unwrap()[0].access_type, expected);
        }
        for (text, code) in [("Altered by Explicit STPG\n", 1), ("Altered by Implicit ALUA\n", 2)] {
            let root = tempfile::tempdir().unwrap();
            add_group(&root.path().join("alua"), "g", &[("alua_access_status", text)]);
            assert_eq!(groups_of(root.path()).unwrap()[0].status.code(), code);
        }
    }
}
