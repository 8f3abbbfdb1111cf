1; % a script file, not a function
% CPU time of Manopt's solvers under Octave on seeded problems. See README.md.
%   octave --no-gui bench_manopt.m MANOPT_FOLDER DATA_FOLDER
% DATA_FOLDER holds logdet_N_KAPPA.csv, tyler_N_KAPPA.csv and pair_N_KAPPA.csv with mean_N_KAPPA.csv, as bench_manopt.py writes them.
function run_all()
  folders = argv();
  addpath(genpath(fullfile(folders{1}, 'manopt')));
  files = dir(fullfile(folders{2}, '*.csv'));
  for f = files'
    [~, name] = fileparts(f.name);
    words = strsplit(name, '_');
    if strcmp(words{1}, 'mean'), continue; end
    n = str2double(words{2});
    data = csvread(fullfile(folders{2}, f.name));
    known = [];
    switch words{1}
      case 'logdet'
        known = data;
        problem = fit(n, data);
      case 'tyler'
        problem = robust(n, data);
      case 'pair'
        known = csvread(fullfile(folders{2}, strrep(f.name, 'pair', 'mean')));
        problem = karcher(n, data);
    end
    solvers = {@conjugategradient, @trustregions, @steepestdescent, @rlbfgs};
    for s = 1:4
      report(words, n, problem, solvers{s}, known);
    end
  end
end

function report(words, n, problem, solver, known)
  M = problem.M;
  x0 = eye(n);
  first = M.norm(x0, getGradient(problem, x0));
  options = struct('verbosity', 0, 'tolgradnorm', 1e-8*first, 'maxiter', 1000, 'maxtime', 600);
  began = cputime();
  try
    [x, ~, info] = solver(problem, x0, options);
  catch e
    printf('{"case":"%s","n":%d,"condition":"%s","solver":"%s","error":"%s"}\n', words{1}, n, words{3}, func2str(solver), strrep(e.message, '"', ''''));
    return;
  end
  spent = cputime() - began;
  x = (x + x')/2;
  gradient = M.norm(x, getGradient(problem, x))/first;
  distance = -1;
  if ~isempty(known), distance = M.dist(x, known); end
  printf('{"case":"%s","n":%d,"condition":"%s","solver":"%s","cpu_s":%.4g,"iterations":%d,"relative_gradient":%.3g,"distance":%.3g}\n', ...
    words{1}, n, words{3}, func2str(solver), spent, info(end).iter, gradient, distance);
  fflush(stdout);
end

function problem = fit(n, s)
  problem.M = sympositivedefinitefactory(n);
  problem.cost = @(x) 2*sum(log(diag(chol(x)))) + trace(x\s);
  problem.egrad = @(x) inv(x) - (x\s)/x;
  problem.ehess = @(x, u) -(x\u)/x + sym2((x\u)*((x\s)/x));
end

function problem = robust(n, samples)
  N = rows(samples);
  problem.M = sympositivedefinitefactory(n);
  problem.cost = @(x) 2*sum(log(diag(chol(x)))) + n/N*sum(log(sum((chol(x)'\samples').^2, 1)));
  problem.egrad = @(x) robustgradient(x, samples, n/N);
end

function g = robustgradient(x, samples, c)
  y = x\samples';
  q = sum(y.*samples', 1);
  g = inv(x) - c*(y./q)*y';
end

function problem = karcher(n, stack)
  m = rows(stack)/n;
  problem.M = sympositivedefinitefactory(n);
  a = cell(1, m);
  for k = 1:m, a{k} = stack((k-1)*n+1:k*n, :); end
  problem.cost = @(x) meancost(problem.M, x, a);
  problem.grad = @(x) meangradient(problem.M, x, a);
end

function f = meancost(M, x, a)
  f = 0;
  for k = 1:numel(a), f = f + M.dist(x, a{k})^2/(2*numel(a)); end
end

function g = meangradient(M, x, a)
  g = 0;
  for k = 1:numel(a), g = g - M.log(x, a{k})/numel(a); end
end

function s = sym2(a)
  s = a + a';
end

run_all();
