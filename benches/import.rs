//! CSV rows parsed and validated a second, on one core, against the csv crate reading the same
//! bytes.

use callcore::import::{Importer, Mapping};
use callcore::phone::Region;
use callcore_benches::csv;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const ROWS: u32 = 20_000;

fn bench(c: &mut Criterion) {
    let bytes = csv(ROWS);
    let mut group = c.benchmark_group("import");
    group.throughput(Throughput::Elements(u64::from(ROWS))).sample_size(20);
    group.bench_function("rows", |b| {
        b.iter(|| {
            let importer = Importer::new(bytes.as_bytes(), Region::US, &Mapping::default())
                .expect("the bench's CSV has a phone column");
            importer.filter(|row| row.is_ok()).count()
        });
    });
    group.bench_function("csv_crate_alone", |b| {
        b.iter(|| {
            let mut reader = ::csv::Reader::from_reader(bytes.as_bytes());
            reader.byte_records().filter(|row| row.is_ok()).count()
        });
    });
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
