use super::*;

const STATISTICS: Statistics = Statistics {
    reads: 0x11,
    writes: 0x12,
    blocks_received: 0x13,
    blocks_transmitted: 0x14,
    read_us: 0x15,
    write_us: 0x16,
    idle_us: 0x17,
};

const RESOURCES: ProvisioningResources =
    ProvisioningResources { available: 0x0102_0304, used: 1 << 40 };

fn encoded_with(
    resources: Option<&ProvisioningResources>,
    page: LogPage,
    parameter_pointer: u16,
) -> Result<Vec<u8>, Sense> {
    let command = LogSense { page, parameter_pointer, allocation_length: 512 };
    let mut out = Vec::new();
    encode_log_page(&command, &STATISTICS, resources, &mut out).map(|()| out)
}

fn encoded(page: LogPage, parameter_pointer: u16) -> Vec<u8> {
    encoded_with(None, page, parameter_pointer).unwrap()
}

#[test]
fn pages_ascend_and_are_found_by_their_codes() {
    assert!(LogPage::ALL.is_sorted_by_key(|page| (page.code(), page.subpage())));
    for page in LogPage::ALL {
        assert_eq!(LogPage::from_codes(page.code(), page.subpage()), Some(page));
    }
}

#[test]
fn the_pages_and_subpages_that_there_are() {
    let pages = [0x00, 0, 0, 4, 0x00, 0x0d, 0x19, 0x2f];
    assert_eq!(encoded(LogPage::SupportedPages, 0), pages);
    let subpages = [0x40, 0xff, 0, 10, 0, 0, 0, 0xff, 0x0d, 0, 0x19, 0, 0x2f, 0];
    assert_eq!(encoded(LogPage::SupportedPagesAndSubpages, 0), subpages);
}

#[test]
fn limited_resources_have_a_page_that_others_have_not() {
    let page = LogPage::LogicalBlockProvisioning;
    let available = [0, 1, 0x03, 8, 1, 2, 3, 4, 2, 0, 0, 0];
    // More than 32 bits can tell.
    let used = [0, 2, 0x03, 8, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0];
    let both = [&[0x0c, 0, 0, 24][..], &available, &used].concat();
    assert_eq!(encoded_with(Some(&RESOURCES), page, 0), Ok(both));
    assert_eq!(encoded_with(Some(&RESOURCES), page, 2).unwrap()[4..], used);
    let pages = [0x00, 0, 0, 5, 0x00, 0x0c, 0x0d, 0x19, 0x2f];
    assert_eq!(encoded_with(Some(&RESOURCES), LogPage::SupportedPages, 0), Ok(pages.to_vec()));
    assert_eq!(encoded_with(None, page, 0), Err(Sense::invalid_field_in_cdb(2, Some(5))));
}

#[test]
fn no_temperature_and_no_exceptions() {
    let temperature = [0x0d, 0, 0, 6, 0, 0, 0x03, 2, 0, 0xff];
    assert_eq!(encoded(LogPage::Temperature, 0), temperature);
    let exceptions = [0x2f, 0, 0, 8, 0, 0, 0x03, 4, 0, 0, 0xff, 0];
    assert_eq!(encoded(LogPage::InformationalExceptions, 0), exceptions);
}

#[test]
fn every_count_has_its_place() {
    let count = |count: u64| count.to_be_bytes();
    let counts = [0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0, 0].map(count);
    let page = [
        &[0x19, 0, 0, 92, 0, 1, 0x03, 64][..],
        counts.as_flattened(),
        &[0, 2, 0x03, 8],
        &count(0x17),
        &[0, 3, 0x03, 8, 0, 0, 0, 6, 0, 0, 0, 1],
    ]
    .concat();
    assert_eq!(encoded(LogPage::GeneralStatisticsAndPerformance, 0), page);
    let from_the_last = encoded(LogPage::GeneralStatisticsAndPerformance, 3);
    assert_eq!(from_the_last, [0x19, 0, 0, 12, 0, 3, 0x03, 8, 0, 0, 0, 6, 0, 0, 0, 1]);
}
